//! A burst: the keys of all its packets, then their entries in the cache, then what becomes of each, one after the other.
//! In passes, so that the memory that all of them need is waited for at once.

use super::*;
use crate::forward::cache::PlainRow;
use crate::forward::enter::in_port_word;
use crate::model::stats::table_index;
use ofp::key::word;

/// Stands for the hash of a packet whose program is that of the packet before it. No hash is 0.
const AS_BEFORE: u64 = 0;
/// Stands for the entry of a packet that the cache does not know.
pub(super) const NO_ENTRY: u32 = u32::MAX;

/// How packets are parsed whose programs are not cached.
pub(super) const WHOLE: extract::Plan = extract::Plan::FULL.with_max_tags(VLAN_LIMIT);

/// What is known of a packet of a burst before its turn comes: a line.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Seen {
    /// What the rules look at, if it is plain.
    pub words: extract::PlainWords,
    pub hash: u64,
    pub layout: Layout,
    pub entry: u32,
    /// Bytes of a plain packet that a port received; 0: it is another one.
    pub size: u32,
    pub is_plain: bool,
}

// One line.
const _: [(); 64] = [(); size_of::<Seen>()];

impl Seen {
    /// The packet's row, which stands at the beginning of `rows`.
    #[inline(always)]
    fn row<'r>(&self, rows: &'r [Line], view: &BridgeView) -> &'r [Line] {
        match self.is_plain {
            true => &rows[..1],
            false => &rows[..lines_of(view)],
        }
    }
}

/// Where a packet comes in: bridge, port, its tunnel words, and how deep it is.
pub(super) type Came = (BridgeId, PortNo, u32, Nesting);

/// How packets enter a bridge.
pub(super) struct Entrance<'s> {
    pub bridge: BridgeId,
    pub view: &'s BridgeView,
    pub plan: extract::Plan,
    /// See [`cache::context`].
    pub context: u64,
    /// No rule looks at packets.
    pub is_blind: bool,
    /// No rule looks at the tunnel that they came through.
    pub is_flat: bool,
    pub needs_l4: bool,
}

/// Whether rules look at the tunnels that packets came through.
pub(super) fn looks_at_tunnels(view: &BridgeView) -> bool {
    let looks_at = |from, to| view.plan.words.intersects(from, to);
    looks_at(word::TUN_ID, word::METADATA) || looks_at(word::TUN_METADATA, word::ETH_DST)
}

impl<'s> Entrance<'s> {
    pub fn new(bridge: BridgeId, view: &'s BridgeView) -> Entrance<'s> {
        let plan = match takes_fragments(view.config.frag) {
            true => extract::Plan::new(view.plan.words, Depth::L3).with_max_tags(VLAN_LIMIT),
            false => view.plan.extract,
        };
        Entrance {
            bridge,
            view,
            plan,
            context: cache::context(bridge, 0, view),
            is_blind: is_blind(view),
            is_flat: !looks_at_tunnels(view),
            needs_l4: plan.depth() == Depth::L4,
        }
    }
}

/// What a packet brings beside its bytes.
pub(super) struct Brought<'a> {
    pub in_port: PortNo,
    pub words: u32,
    pub then: Option<&'a Continuation>,
}

/// Fills the key of a packet.
pub(super) fn fill_key<P: Pool>(
    key: &mut Key,
    executor: &Executor<P>,
    view: &BridgeView,
    plan: &extract::Plan,
    came: Brought<'_>,
    frame: &P::Frame,
) -> Layout {
    begin(key, came.in_port, executor.words.get(came.words as usize));
    if let Some(options) = executor.options_of(came.words) {
        key.0[Overlay::OPTIONS].copy_from_slice(options);
    }
    if let Some(then) = came.then {
        then.lay(key);
    }
    let layout = extract::extract(frame.head(), frame.size(), plan, key);
    if layout.frag != 0 && view.config.frag == FRAG_NORMAL {
        hide_ports(key);
    }
    layout
}

impl<P: Pool> Core<P> {
    /// Handles the batch.
    pub(super) fn burst<O: Observer>(&mut self, cx: Context<'_>, o: &mut O) {
        debug_assert!(self.batch.len() <= BURST);
        let mut batch = std::mem::take(&mut self.batch);
        for item in &batch {
            item.frame.prefetch();
        }
        self.look::<O>(cx, &batch);
        if !O::EXPLAINS {
            self.seek(cx, &batch);
        }
        for (index, item) in batch.drain(..).enumerate() {
            // In parts: to copy an item right after it was written in parts waits for the stores (25 cycles).
            let Item {
                frame,
                bridge,
                in_port,
                words,
                nesting,
                resume,
            } = item;
            let at = (bridge, in_port, words, nesting);
            match resume {
                None => self.packet(cx, index, at, frame, o),
                Some(then) => self.resumed(cx, index, at, &then, frame, o),
            }
        }
        self.batch = batch;
        self.settle_run(cx.now);
    }
    /// Counts what is not yet counted of a burst that ends.
    pub(super) fn settle_run(&mut self, now: Time) {
        self.credit_run(now);
        credit_lookups(&mut self.run, &self.executor.stats);
        let hits = &self.executor.stats.worker[2];
        let new = std::mem::take(&mut self.run.hits);
        hits.store(hits.load(Relaxed) + new, Relaxed);
    }
    /// Fills the rows of all, and hashes them.
    fn look<O: Observer>(&mut self, cx: Context<'_>, batch: &[Item<P::Frame>]) {
        let stride = self.cache.stride();
        let mut entrance: Option<Entrance<'_>> = None;
        let mut before = None;
        for (index, item) in batch.iter().enumerate() {
            if entrance
                .as_ref()
                .is_none_or(|there| there.bridge != item.bridge)
            {
                let view = cx.snapshot.bridge(item.bridge);
                entrance = view.map(|view| Entrance::new(item.bridge, view));
            }
            let Some(there) = &entrance else {
                continue;
            };
            let frame = &item.frame;
            let seen = &mut self.seen[index];
            seen.is_plain = false;
            let row = &mut self.rows[index * stride..][..lines_of(there.view)];
            if item.resume.is_none() && !O::EXPLAINS {
                let has_words = item.words != NO_WORDS && !there.is_flat;
                if there.is_blind && !has_words {
                    // No rule looks at packets, so that this one's key is that of the one before. A runt is refused
                    // before its program is looked for.
                    let came = (item.bridge, item.in_port);
                    if before == Some(came) {
                        (seen.hash, seen.layout) = (AS_BEFORE, Layout::default());
                        continue;
                    }
                    before = (frame.head().len() >= RUNT).then_some(came);
                } else {
                    before = None;
                    if !has_words
                        && let Some(words) =
                            extract::plain(frame.head(), frame.size(), there.needs_l4)
                    {
                        let in_port = in_port_word(item.in_port);
                        let plain = PlainRow::new(there.context, in_port, there.view);
                        seen.words = plain.masked(&words);
                        seen.hash = plain.hash(&seen.words);
                        row[0] = plain.line(&seen.words);
                        seen.layout = extract::PLAIN_LAYOUT;
                        seen.is_plain = true;
                        continue;
                    }
                }
            } else {
                before = None;
            }
            let (mut plan, mut context) = (there.plan, there.context);
            if let Some(then) = &item.resume {
                match then.cached_as(there.view) {
                    Some(id) => context = cache::context(item.bridge, id, there.view),
                    None => plan = WHOLE,
                }
            }
            let (key, executor) = (&mut self.key, &self.executor);
            let came = Brought {
                in_port: item.in_port,
                words: item.words,
                then: item.resume.as_deref(),
            };
            seen.layout = fill_key(key, executor, there.view, &plan, came, frame);
            seen.hash = cache::pack(context, &there.view.plan.row, &key.0, row);
        }
    }
    /// Finds the entries of all.
    fn seek(&mut self, cx: Context<'_>, batch: &[Item<P::Frame>]) {
        let mut all_ways = [0; BURST];
        for (ways, seen) in all_ways.iter_mut().zip(&self.seen[..batch.len()]) {
            *ways = match seen.hash {
                AS_BEFORE => 0,
                hash => self.cache.ways(hash),
            };
        }
        let stride = self.cache.stride();
        for (index, (item, &ways)) in batch.iter().zip(&all_ways).enumerate() {
            let mut entry = NO_ENTRY;
            if ways != 0
                && let Some(view) = cx.snapshot.bridge(item.bridge)
            {
                let seen = &self.seen[index];
                let query = Query {
                    row: seen.row(&self.rows[index * stride..], view),
                    hash: seen.hash,
                    bridge: item.bridge,
                    view,
                    snapshot: cx.snapshot,
                    key: None,
                };
                let found = self.cache.find_in(&query, ways);
                entry = found.map_or(NO_ENTRY, |entry| entry as u32);
            }
            self.seen[index].entry = entry;
        }
    }
    /// What becomes of a packet.
    #[inline(always)]
    pub(super) fn packet<O: Observer>(
        &mut self,
        cx: Context<'_>,
        index: usize,
        (bridge, in_port, words, nesting): Came,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        let Some(view) = cx.snapshot.bridge(bridge) else {
            return self.executor.drop(frame, DropReason::NoPort, o);
        };
        o.enters(
            view,
            format_args!("in_port {in_port}, {} bytes", frame.size()),
        );
        self.executor.look_for_bpdu(cx, view, in_port, frame.head());
        let layout = self.seen[index].layout;
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
        if layout.frag != 0 && view.config.frag == FRAG_REASSEMBLE {
            let (then, executor) = (Then::Bridge(at.item((), None)), &mut self.executor);
            match executor.hold(cx, Purpose::Arrival, bridge, then, frame, o) {
                Some(other) => frame = other,
                None => return,
            }
        }
        if O::EXPLAINS {
            self.fill_key(&WHOLE, &at, None, &frame);
            walk(cx, &self.key, &at, None, &mut self.scratch, o);
            return self.run_scratch(cx, &mut at, frame, o);
        }
        self.run_cached(cx, index, &mut at, None, frame, o);
    }
    /// Handles a frame that goes on with a continuation.
    // Not inlined: the loop is for those without.
    #[inline(never)]
    fn resumed<O: Observer>(
        &mut self,
        cx: Context<'_>,
        index: usize,
        (bridge, in_port, words, nesting): Came,
        then: &Arc<Continuation>,
        mut frame: P::Frame,
        o: &mut O,
    ) {
        let Some(view) = cx.snapshot.bridge(bridge) else {
            return self.executor.drop(frame, DropReason::NoPort, o);
        };
        o.enters(view, format_args!("{} bytes go on", frame.size()));
        o.resumes(then.origin());
        if frame.head().len() < RUNT {
            return self.executor.drop(frame, DropReason::Malformed, o);
        }
        self.executor.bpdu = match bpdu::recognise_frame(frame.head()) {
            bpdu::Kind::None => then.bpdu(),
            kind => kind,
        };
        let mut at = Place {
            view,
            bridge,
            in_port,
            words,
            nesting,
            layout: self.seen[index].layout,
        };
        if then.begins() {
            let (layout, head) = (at.layout, frame.head());
            if let Some(reason) = refuse(cx, view, &at.in_port, head, &layout, at.nesting) {
                return self.executor.drop(frame, reason, o);
            }
            if layout.frag != 0 && view.config.frag == FRAG_REASSEMBLE {
                let way = Then::Bridge(at.item((), Some(then)));
                let executor = &mut self.executor;
                match executor.hold(cx, Purpose::Arrival, bridge, way, frame, o) {
                    Some(other) => frame = other,
                    None => return,
                }
            }
        }
        if !O::EXPLAINS && then.cached_as(view).is_some() {
            return self.run_cached(cx, index, &mut at, Some(then), frame, o);
        }
        self.fill_key(&WHOLE, &at, Some(then), &frame);
        walk(cx, &self.key, &at, Some(then), &mut self.scratch, o);
        self.run_scratch(cx, &mut at, frame, o);
    }
    fn fill_key(
        &mut self,
        plan: &extract::Plan,
        at: &Place<'_>,
        then: Option<&Arc<Continuation>>,
        frame: &P::Frame,
    ) {
        let came = Brought {
            in_port: at.in_port,
            words: at.words,
            then: then.map(AsRef::as_ref),
        };
        let (key, executor) = (&mut self.key, &self.executor);
        fill_key(key, executor, at.view, plan, came, frame);
    }
    /// Fills the key of a packet of the burst.
    fn fill_seen(
        &mut self,
        index: usize,
        at: &Place<'_>,
        then: Option<&Arc<Continuation>>,
        frame: &P::Frame,
    ) {
        let Seen {
            words, is_plain, ..
        } = &self.seen[index];
        if *is_plain {
            // What rules look at of it is known already, and nothing depends on the rest.
            begin(&mut self.key, at.in_port, None);
            self.key.0[word::ETH_DST..].fill(0);
            extract::lay_plain(words, &mut self.key);
        } else {
            let plan = Entrance::new(at.bridge, at.view).plan;
            self.fill_key(&plan, at, then, frame);
        }
    }
    /// What becomes of a packet whose program was not found with the others of its burst: because it is not there, or
    /// because the cache has changed since.
    #[inline(never)]
    fn find_or_walk<O: Observer>(
        &mut self,
        cx: Context<'_>,
        index: usize,
        at: &Place<'_>,
        then: Option<&Arc<Continuation>>,
        frame: &P::Frame,
        o: &mut O,
    ) -> Found {
        let stride = self.cache.stride();
        self.fill_seen(index, at, then, frame);
        let seen = &self.seen[index];
        if seen.is_plain {
            let context = cache::context(at.bridge, 0, at.view);
            let plain = PlainRow::new(context, in_port_word(at.in_port), at.view);
            self.rows[index * stride] = plain.line(&seen.words);
        }
        let query = Query {
            row: seen.row(&self.rows[index * stride..], at.view),
            hash: seen.hash,
            bridge: at.bridge,
            view: at.view,
            snapshot: cx.snapshot,
            key: Some(&self.key),
        };
        if let Some(entry) = self.cache.find(&query) {
            self.run.hits += 1;
            return Found::Entry(entry);
        }
        let misses = &self.executor.stats.worker[3];
        misses.store(misses.load(Relaxed) + 1, Relaxed);
        let stats = &self.executor.stats;
        // Where no rule looks at packets, those after this one are said to be as this one's entry.
        let is_kept = is_blind(at.view) || self.cache.admits(query.hash);
        if !is_kept {
            stats.unkept.store(stats.unkept.load(Relaxed) + 1, Relaxed);
            // As the last one is, this one may be.
            if self.is_short
                && then.is_none()
                && let Some(only) = shortcut(cx.snapshot, at.view, &self.key)
            {
                stats.looked_up(1, only.probes.into());
                return Found::Only(only);
            }
        }
        walk(cx, &self.key, at, then, &mut self.scratch, o);
        let program = &self.scratch;
        stats.looked_up(program.visits.len() as u64, program.probes.into());
        self.is_short = program.visits.len() == 1 && only_output(&program.steps).is_some();
        if !is_kept {
            return Found::Scratch;
        }
        self.scratch.seal(&at.layout);
        // The entry that is replaced may be that of the run.
        credit_entry(&self.cache, &mut self.run, &self.executor.stats, cx.now);
        let cleared = self.cache.cleared;
        let entry = self.cache.insert(&query, &mut self.scratch);
        // What was found for a later packet may be this one's now.
        let all = self.cache.cleared != cleared;
        for seen in self.seen.iter_mut() {
            if all || seen.entry == entry as u32 {
                seen.entry = NO_ENTRY;
            }
        }
        Found::Entry(entry)
    }
    /// Runs the program that was found in the cache, or is found now.
    #[inline(always)]
    fn run_cached<O: Observer>(
        &mut self,
        cx: Context<'_>,
        index: usize,
        at: &mut Place<'_>,
        then: Option<&Arc<Continuation>>,
        frame: P::Frame,
        o: &mut O,
    ) {
        let entry = match (self.seen[index].hash, self.seen[index].entry) {
            (AS_BEFORE, _) => {
                self.run.hits += 1;
                self.run.entry
            }
            (_, NO_ENTRY) => match self.find_or_walk(cx, index, at, then, &frame, o) {
                Found::Entry(entry) => entry,
                Found::Only(only) => return self.run_only(cx, at, only, frame, o),
                Found::Scratch => return self.run_scratch(cx, at, frame, o),
            },
            (_, entry) => {
                self.run.hits += 1;
                entry as usize
            }
        };
        if entry != self.run.entry {
            self.credit_run(cx.now);
            self.run.entry = entry;
        }
        self.run.packets += 1;
        self.run.bytes += frame.size() as u64;
        let port = self.cache.head(entry).port;
        if port != NO_PORT {
            let (executor, nothing) = (&mut self.executor, &Overlay::NOTHING);
            return executor.emit(cx, at, PortId(port), nothing, u32::MAX, frame, o);
        }
        let (_, program) = self.cache.entry(entry);
        execute(&mut self.executor, cx, at, program, frame, o);
    }
    /// Credits the packets of the run that ends.
    #[inline]
    fn credit_run(&mut self, now: Time) {
        credit_entry(&self.cache, &mut self.run, &self.executor.stats, now);
    }
    /// Credits and sends a packet that is output as it is by a rule of one table.
    fn run_only<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &Place<'_>,
        only: Only,
        frame: P::Frame,
        o: &mut O,
    ) {
        let table = table_index(at.bridge, only.table) as u32;
        let stats = &self.executor.stats;
        stats.credit(only.rule, 1, frame.size() as u64, cx.now);
        credit_matches(&mut self.run, stats, table, 1);
        let nothing = &Overlay::NOTHING;
        self.executor
            .emit(cx, at, only.port, nothing, u32::MAX, frame, o);
    }
    /// Credits and runs a program that is not cached.
    pub(super) fn run_scratch<O: Observer>(
        &mut self,
        cx: Context<'_>,
        at: &mut Place<'_>,
        frame: P::Frame,
        o: &mut O,
    ) {
        let (stats, bytes) = (&self.executor.stats, frame.size() as u64);
        credit(stats, at.bridge, &self.scratch, 1, bytes, cx.now);
        let program = &self.scratch;
        execute(&mut self.executor, cx, at, program, frame, o);
    }
}

/// What becomes of a packet that was not found in the cache with its burst.
enum Found {
    /// What this entry says.
    Entry(usize),
    /// This.
    Only(Only),
    /// What the program in `scratch` says, which is not kept.
    Scratch,
}

/// Walks a packet with this key through the tables.
fn walk<O: Observer>(
    cx: Context<'_>,
    key: &Key,
    at: &Place<'_>,
    then: Option<&Arc<Continuation>>,
    program: &mut Program,
    o: &mut O,
) {
    if let Some(walk) = Walk::new(cx.snapshot, at.bridge, key, program, o) {
        match then {
            Some(then) => walk.resume(then),
            None => walk.tables(),
        }
    }
}

/// Credits the packets of a run that ends.
#[inline(always)]
pub(super) fn credit_entry(cache: &Cache, run: &mut Run, stats: &WorkerStats, now: Time) {
    let (packets, bytes) = (run.packets, run.bytes);
    if packets == 0 {
        return;
    }
    (run.packets, run.bytes) = (0, 0);
    let head = cache.head(run.entry);
    if head.port == NO_PORT {
        return credit_program(cache, run.entry, stats, (packets, bytes, now));
    }
    stats.credit(head.rule, packets, bytes, now);
    credit_matches(run, stats, head.table, packets);
}
/// Puts lookups of a table that matched aside: next to all packets of a burst are looked up in the same one.
#[inline(always)]
pub(super) fn credit_matches(run: &mut Run, stats: &WorkerStats, table: u32, packets: u64) {
    if table != run.table {
        credit_lookups(run, stats);
        run.table = table;
    }
    run.lookups += packets;
}
#[inline(never)]
fn credit_program(
    cache: &Cache,
    entry: usize,
    stats: &WorkerStats,
    (packets, bytes, now): (u64, u64, Time),
) {
    let (bridge, program) = cache.entry(entry);
    credit(stats, bridge, program, packets, bytes, now);
}
/// Credits the lookups that [`credit_entry`] put aside.
#[inline(never)]
fn credit_lookups(run: &mut Run, stats: &WorkerStats) {
    let lookups = std::mem::take(&mut run.lookups);
    if lookups > 0 {
        let table = run.table as usize;
        stats.tables.add_from(table, 0, [lookups, lookups]);
    }
}
