//! Packets that no port received: a controller's, those that were paused, and those that are traced.

use super::*;
use crate::forward::execute::TunnelWords;
use crate::forward::pause;
use flow::bare::{framed, type_of};
use ofp::action::PacketType;
use ofp::field::Field;
use ofp::key::word;

impl<P: Pool> Core<P> {
    /// The frame of a packet of this type.
    fn frame_of(&mut self, bytes: &[u8], packet_type: PacketType) -> Option<P::Frame> {
        let Some(bytes) = framed(bytes, packet_type) else {
            self.executor.stats.dropped(DropReason::Malformed);
            return None;
        };
        let Some(mut frame) = self.executor.pool.alloc(bytes.len()) else {
            self.executor.stats.dropped(DropReason::NoMemory);
            return None;
        };
        frame.set_offload(Default::default());
        self.executor.pool.write(&mut frame, 0, &bytes);
        Some(frame)
    }
    /// What would happen to a packet.
    pub(super) fn trace<O: Observer>(
        &mut self,
        cx: Context<'_>,
        question: &Question<'_>,
        o: &mut O,
    ) {
        let (bridge, in_port) = (question.bridge, question.in_port);
        let Some(view) = cx.snapshot.bridge(bridge) else {
            return;
        };
        let packet_type = type_of(question.fields);
        let Some(frame) = self.frame_of(question.frame, packet_type) else {
            return;
        };
        o.enters(view, format_args!("in_port {in_port}"));
        let mut key = Key::default();
        begin(&mut key, in_port, None);
        let plan = extract::Plan::FULL.with_max_tags(VLAN_LIMIT);
        let layout = extract::extract(frame.head(), frame.size(), &plan, &mut key);
        if layout.frag != 0 && view.config.frag == FRAG_NORMAL {
            hide_ports(&mut key);
        }
        for part in question.fields.words() {
            if let Some(word) = key.0.get_mut(usize::from(part.index)) {
                *word = *word & !part.mask | part.value;
            }
        }
        o.begins(&key);
        let words = self.came_through_tunnel(&key);
        self.executor.spent = [0; BURST];
        self.executor.look_for_bpdu(cx, view, in_port, frame.head());
        let nesting = Nesting::default();
        if let Some(reason) = refuse(cx, view, &in_port, frame.head(), &layout, nesting) {
            return self.executor.drop(frame, reason, o);
        }
        let mut at = Place {
            view,
            bridge,
            in_port,
            words,
            nesting,
            layout,
        };
        if let Some(walk) = Walk::new(cx.snapshot, bridge, &key, &mut self.scratch, o) {
            match question.actions {
                Some(actions) => walk.packet_out(actions),
                None => walk.tables(),
            }
        }
        self.run_scratch(cx, &mut at, frame, o);
    }
    /// Keeps what a key says of a tunnel; the index of that.
    fn came_through_tunnel(&mut self, key: &Key) -> u32 {
        self.executor.words.clear();
        self.executor.options.clear();
        let words: &[u64] = &key.0[word::TUN_ID..word::METADATA];
        let options: &[u64] = &key.0[word::TUN_METADATA..word::ETH_DST];
        if words.iter().chain(options).all(|word| *word == 0) {
            return NO_WORDS;
        }
        let (Ok(words), Ok(options)) = (words.try_into(), options.try_into()) else {
            return NO_WORDS;
        };
        self.executor.words.push(words);
        self.executor.options.push((0, options));
        0
    }
    /// Runs a controller's list of actions on its packet.
    pub(super) fn packet_out<O: Observer>(
        &mut self,
        cx: Context<'_>,
        packet: &PacketOut,
        o: &mut O,
    ) {
        let Some(view) = cx.snapshot.bridge(packet.bridge) else {
            return self.executor.stats.dropped(DropReason::NoPort);
        };
        o.enters(view, format_args!("packet-out, in_port {}", packet.in_port));
        let paused = packet.paused.as_ref();
        let words = paused.and_then(|paused| TunnelWords::try_from(paused.words.as_deref()?).ok());
        let then = paused.and_then(pause::continuation);
        self.executor.words.clear();
        self.executor.options.clear();
        self.executor.words.extend(words);
        let options = paused.and_then(|paused| paused.options.as_deref());
        self.executor.options.extend(options.map(|of| (0, *of)));
        let mut key = Key::default();
        begin(&mut key, packet.in_port, words.as_ref());
        if let Some(then) = &then {
            then.lay(&mut key);
            key.set(Field::InPortOxm.place(), packet.in_port.0.into(), u128::MAX);
        }
        let place = Field::PacketType.place();
        let (value, mask) = packet.fields.get(place);
        key.set(place, value, mask);
        let Some(frame) = self.frame_of(&packet.data, key.get(place).into()) else {
            return;
        };
        if frame.head().len() < RUNT {
            return self.executor.drop(frame, DropReason::Malformed, o);
        }
        let plan = extract::Plan::FULL.with_max_tags(VLAN_LIMIT);
        let layout = extract::extract(frame.head(), frame.size(), &plan, &mut key);
        if layout.frag != 0 && view.config.frag == FRAG_NORMAL {
            hide_ports(&mut key);
        }
        let mut at = Place {
            view,
            bridge: packet.bridge,
            in_port: packet.in_port,
            words: words.map_or(NO_WORDS, |_| 0),
            nesting: Nesting::default(),
            layout,
        };
        self.executor.spent = [0; BURST];
        self.executor.bpdu = bpdu::recognise_frame(frame.head());
        if let Some(mut walk) = Walk::new(cx.snapshot, packet.bridge, &key, &mut self.scratch, o) {
            match &then {
                Some(then) => walk.resume_with(then, &packet.fields),
                None => {
                    walk.set_fields(&packet.fields);
                    walk.packet_out(&packet.actions);
                }
            }
        }
        self.run_scratch(cx, &mut at, frame, o);
    }
}
