//! Links that are chosen by a hash of the packet's fields: `multipath` and `bundle`. The walk computes them, as what they
//! choose is looked up next; so flows that differ in what is hashed have programs of their own.

use super::pipeline::{Outcome, Walk};
use super::select::{add, winner};
use super::set::has;
use super::trace::Observer;
use crate::model::DropReason;
use ofp::action::{HashFields, Multipath, MultipathAlgorithm, PortBundle, WHOLE_PACKET};
use ofp::field::{Field, Prereq};
use ofp::key::Key;
use ofp::types::PortNo;

/// The hash of what is named. Where it is symmetric, both directions of a connection have the same.
pub(super) fn hash_fields(key: &Key, fields: HashFields, basis: u16) -> u64 {
    use HashFields::*;
    let get = |field: Field| key.get(field.place());
    let wide = |hash, value: u128| add(add(hash, (value >> 64) as u64), value as u64);
    // The same for (a, b) and (b, a), and different for others.
    let both = |hash, a: Field, b: Field| {
        let (a, b) = (get(a), get(b));
        wide(wide(hash, a ^ b), a.wrapping_add(b))
    };
    let (is_v4, is_v6) = (has(key, Prereq::Ipv4), has(key, Prereq::Ipv6));
    let mut hash = add(u64::MAX, basis.into());
    match fields {
        EthSrc => return wide(hash, get(Field::EthSrc)),
        NwSrc if is_v6 => return wide(hash, get(Field::Ipv6Src)),
        NwSrc if is_v4 => return wide(hash, get(Field::IpSrc)),
        NwDst if is_v6 => return wide(hash, get(Field::Ipv6Dst)),
        NwDst if is_v4 => return wide(hash, get(Field::IpDst)),
        NwSrc | NwDst => return hash,
        SymmetricL4 => {
            hash = both(hash, Field::EthSrc, Field::EthDst);
            let tag = get(Field::EthType) << 16 | get(Field::VlanVid);
            hash = wide(hash, tag);
        }
        SymmetricL3L4 | SymmetricL3L4Udp | SymmetricL3 => {}
    }
    if is_v4 {
        hash = both(hash, Field::IpSrc, Field::IpDst);
    } else if is_v6 {
        hash = both(hash, Field::Ipv6Src, Field::Ipv6Dst);
    }
    if fields == SymmetricL3 || !(is_v4 || is_v6) {
        return hash;
    }
    hash = wide(hash, get(Field::IpProto));
    // A datagram may be in fragments, of which only the first one says its ports.
    let has_ports = has(key, Prereq::Tcp)
        || has(key, Prereq::Sctp)
        || fields == SymmetricL3L4Udp && has(key, Prereq::Udp);
    match has_ports {
        true => both(hash, Field::TcpSrc, Field::TcpDst),
        false => hash,
    }
}

/// The link of so many (1 to 65,536) that a hash leads to.
fn link(hash: u64, multipath: &Multipath) -> u32 {
    let len = multipath.n_links.clamp(1, 65_536);
    match multipath.algorithm {
        MultipathAlgorithm::ModuloN => ((hash >> 32) % u64::from(len)) as u32,
        MultipathAlgorithm::HashThreshold => (((hash >> 32) * u64::from(len)) >> 32) as u32,
        MultipathAlgorithm::Hrw => jump(hash, len),
        MultipathAlgorithm::IterHash => iterate(hash, len, multipath.argument),
    }
}

/// One of `len`, such that one link more or less moves no flows but those that it gets or had: what the highest random weight
/// does, in a few steps instead of `len` (Lamping and Veach, "A fast, minimal memory, consistent hash algorithm").
fn jump(mut hash: u64, len: u32) -> u32 {
    let (mut link, mut next) = (0, 0u64);
    while next < u64::from(len) {
        link = next as u32;
        hash = hash.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // (link + 1) / r for an even r in (0, 1]; 31 bits of the hash.
        next = ((next + 1) << 31) / ((hash >> 33) + 1);
    }
    link
}

/// Hashes until the result is one of `len`: less than `argument`, if that is at least `len` and at most twice that.
fn iterate(mut hash: u64, len: u32, argument: u32) -> u32 {
    let modulo = match argument {
        argument if (len..=2 * len).contains(&argument) => argument,
        _ => len.next_power_of_two(),
    };
    // At least every second one hits.
    for _ in 0..64 {
        let link = ((hash >> 32) % u64::from(modulo)) as u32;
        if link < len {
            return link;
        }
        hash = add(hash, argument.into());
    }
    0
}

impl<O: Observer> Walk<'_, '_, O> {
    pub(super) fn multipath(&mut self, multipath: &Multipath) -> Outcome {
        let hash = hash_fields(&self.key, multipath.fields, multipath.basis);
        let link = link(hash, multipath);
        self.note(format_args!("link {link}"));
        self.load(multipath.destination, link.into())?;
        self.tell_bits(multipath.destination);
        Ok(())
    }
    /// `bundle(...)` and `bundle_load(...)`.
    pub(super) fn bundle(&mut self, bundle: &PortBundle) -> Outcome {
        let is_enabled = |port: &PortNo| match *port {
            PortNo::CONTROLLER | PortNo::ANY | PortNo::UNSET => false,
            port if port.is_real() => self.is_port_live(port),
            _ => true,
        };
        let ports = bundle.ports.iter();
        let chosen = if bundle.active_backup {
            ports.clone().position(is_enabled)
        } else {
            let hash = hash_fields(&self.key, bundle.fields, bundle.basis);
            winner(hash, ports.map(|port| (port.0, is_enabled(port).into())))
        };
        let port = chosen.map(|index| bundle.ports[index]);
        match port {
            Some(port) => self.note(format_args!("port {port}")),
            None => self.note(format_args!("no port is up")),
        }
        match (bundle.destination, port) {
            (Some(destination), port) => {
                let port = port.unwrap_or(PortNo::ANY);
                let number = port.to_v10().map_or(port.0, u32::from);
                self.load(destination, number.into())?;
                self.tell_bits(destination);
                Ok(())
            }
            (None, Some(port)) => self.output(port, WHOLE_PACKET, u32::MAX),
            (None, None) => self.suppress(DropReason::PortDown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofp::field::Subfield;
    use proptest::prelude::*;

    fn multipath(algorithm: MultipathAlgorithm, n_links: u32) -> Multipath {
        Multipath {
            fields: HashFields::EthSrc,
            basis: 0,
            algorithm,
            n_links,
            argument: 0,
            destination: Subfield::whole(Field::Reg0),
        }
    }
    const ALGORITHMS: [MultipathAlgorithm; 4] = [
        MultipathAlgorithm::ModuloN,
        MultipathAlgorithm::HashThreshold,
        MultipathAlgorithm::Hrw,
        MultipathAlgorithm::IterHash,
    ];

    #[test]
    fn links_are_used_alike() {
        for algorithm in ALGORITHMS {
            for len in [1, 2, 3, 7, 16] {
                let mut seen = vec![0u32; len as usize];
                for flow in 0..100_000 {
                    let mut key = Key::default();
                    key.set(Field::EthSrc.place(), flow, u128::MAX);
                    let hash = hash_fields(&key, HashFields::EthSrc, 9);
                    seen[link(hash, &multipath(algorithm, len)) as usize] += 1;
                }
                let right = 100_000 / len;
                let is_right = |seen: &u32| seen.abs_diff(right) * 20 < right;
                assert!(seen.iter().all(is_right), "{algorithm:?} {seen:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn links_are_in_range(hash: u64, len in 1..65_537u32, argument: u32) {
            for algorithm in ALGORITHMS {
                let multipath = Multipath { argument, ..multipath(algorithm, len) };
                prop_assert!(link(hash, &multipath) < len);
            }
            // One more link moves flows to that one only.
            let (before, after) = (jump(hash, len), jump(hash, len + 1));
            prop_assert!(after == before || after == len);
        }
        #[test]
        fn both_directions_are_one_connection(
            ips in any::<[u32; 2]>(), ports in any::<[u16; 2]>(), protocol in prop::sample::select(vec![6u8, 17, 132]),
        ) {
            let key = |a: usize, b: usize| {
                let mut key = Key::default();
                let mut set = |field: Field, value: u128| key.set(field.place(), value, u128::MAX);
                set(Field::EthType, 0x0800);
                set(Field::IpProto, protocol.into());
                set(Field::IpSrc, ips[a].into());
                set(Field::IpDst, ips[b].into());
                set(Field::TcpSrc, ports[a].into());
                set(Field::TcpDst, ports[b].into());
                key
            };
            for fields in [HashFields::SymmetricL4, HashFields::SymmetricL3L4, HashFields::SymmetricL3L4Udp, HashFields::SymmetricL3] {
                prop_assert_eq!(hash_fields(&key(0, 1), fields, 1), hash_fields(&key(1, 0), fields, 1));
            }
        }
    }
}
