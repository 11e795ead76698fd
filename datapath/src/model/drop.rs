//! Why packets are dropped: one row per reason. Counted per worker, printed by trace and statistics.

macro_rules! drop_reasons {
    ($($variant:ident $name:literal $text:literal;)*) => {
        /// Why a packet went nowhere.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the table says it")]
        pub enum DropReason { $($variant),* }

        /// Reason, counter name, explanation; in the order of the enum.
        pub const DROP_REASONS: &[(DropReason, &str, &str)] =
            &[$((DropReason::$variant, $name, $text)),*];
    };
}

drop_reasons! {
    NoRule             "no_rule"               "no rule of the table matches, and its miss is to drop";
    Action             "action"                "the rule's actions send it nowhere";
    PortDown           "port_down"             "the output port is down";
    NoPort             "no_port"               "the output port does not exist";
    NoReceive          "no_receive"            "the ingress port is set not to receive";
    NoForward          "no_forward"            "the output port is set not to forward";
    Malformed          "malformed"             "shorter than an Ethernet header";
    TtlExpired         "ttl_expired"           "the TTL or hop limit would become 0";
    NoGroup            "no_group"              "the group does not exist";
    NoBucket           "no_bucket"             "no bucket of the group is live";
    Meter              "meter"                 "above the rate of a meter's drop band";
    PacketType         "packet_type"           "encap or decap of something that the packet is not";
    NotEthernet        "not_ethernet"          "not an Ethernet frame, and the output port carries nothing else";
    Depth              "depth"                 "too many nested lookups (64)";
    Resubmits          "resubmits"             "too many lookups for one packet (4096)";
    StackOverflow      "stack"                 "the stack is too large (64 KiB) or popped when empty";
    PatchDepth         "patch_depth"           "too many bridges or tunnels one inside the other";
    PatchPeer          "patch_peer"            "the patch port has no peer";
    VlanDisallowed     "vlan_disallowed"       "the VLAN is not one of the port's";
    ReservedAddress    "reserved_address"      "NORMAL does not forward this link-local destination";
    TunnelUnresolved   "tunnel_unresolved"     "no route or neighbour to the tunnel's remote address in time";
    TunnelQueueFull    "tunnel_queue_full"     "too many packets wait for the tunnel's neighbour";
    TunnelMalformed    "tunnel_malformed"      "a tunnel header that is short, or has unknown flags or a bad checksum";
    TunnelUnknown      "tunnel_unknown"      "a tunnel packet of no tunnel (address, key, port or session)";
    TunnelControl      "tunnel_control"        "a tunnel's control message, and tunnels are static";
    TunnelVersion      "tunnel_version"        "a tunnel header of an unknown version";
    TunnelCookie       "tunnel_cookie"         "with another cookie than the L2TPv3 session's";
    TunnelSequence     "tunnel_sequence"       "out of order in its L2TPv3 session, or without the number that it must have";
    TunnelOption       "tunnel_option"         "with a critical Geneve option that is not known (RFC 8926)";
    TunnelProtocol     "tunnel_protocol"       "something that the tunnel does not carry (see packet_type)";
    TunnelVlan         "tunnel_vlan"           "without the service tag that every frame of the pseudowire must have";
    TunnelPart         "tunnel_part"           "part of a pseudowire's frame whose other part is missing";
    TunnelNoRemote     "tunnel_no_remote"      "the tunnel's remote end is the packet's to say, and it says none, or ourselves";
    TunnelNested       "tunnel_nested"         "too many tunnels (4) one inside the other (RFC 2473 section 6.6)";
    TunnelEcn          "tunnel_ecn"            "congestion was marked outside a packet that cannot say so (RFC 6040)";
    TunnelTooBig       "tunnel_too_big"        "encapsulated, the packet exceeds the underlay's MTU";
    MtuExceeded        "mtu_exceeded"          "larger than the output port's MTU";
    NoMemory           "no_memory"             "no buffer for a copy";
    PuntFull           "punt_full"             "the queue towards the controllers is full";
    FragmentDropped    "fragment_dropped"      "a fragment, and the switch is configured to drop them";
    FragmentDf         "fragment_df"           "larger than the MTU, and its sender says not to fragment it";
    FragmentMalformed  "fragment_malformed"    "larger than the MTU, and its IP header contradicts itself";
    FragmentMtu        "fragment_mtu"          "the headers that each fragment repeats leave no room for payload";
    Reassembly         "reassembly"            "a fragment that was refused, or whose others did not come (see fragment_...)";
    MailFull           "mail_full"             "the queue to the worker that has the packet's other fragments is full, or that worker has ended";
    Bpdu               "bpdu"                  "a BPDU, and the rule's actions drop those";
    Recirculation      "output_to_ingress"     "output to the ingress port was not asked for explicitly";
}

impl DropReason {
    /// Number of reasons.
    pub const LEN: usize = DROP_REASONS.len();
    /// Counter name.
    pub const fn name(self) -> &'static str {
        DROP_REASONS[self as usize].1
    }
    /// Explanation.
    pub const fn text(self) -> &'static str {
        DROP_REASONS[self as usize].2
    }
}
