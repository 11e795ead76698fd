//! Groups: one way, or several, for a packet. The walk goes through each bucket as through a clone: nothing of it is left
//! for what follows. It decides what ports decide (fast failover); what a select group's packets decide is a step (`select`).

use super::pipeline::{Level, MAX_DEPTH, MAX_LOOKUPS, Outcome, Saved, Scope, Walk};
use super::program::{Step, Visit};
use super::select::{Branch, Select};
use super::trace::Observer;
use crate::model::DropReason;
use crate::model::group::{BucketView, GroupView};
use crate::model::id::RuleId;
use ofp::message::{GroupKind, port_config};
use ofp::types::{GroupId, PortNo};
use smallvec::SmallVec;

/// Groups that watch groups, one behind the other.
const MAX_WATCHES: usize = 64;

impl<'s, O: Observer> Walk<'s, '_, O> {
    /// Sends the packet to a group.
    pub(super) fn group(&mut self, id: GroupId) -> Outcome {
        let Some((_, group)) = self.view.groups.get(&id) else {
            self.look_at_group(id, None);
            return self.no_way(id, DropReason::NoGroup);
        };
        let group: &'s GroupView = group;
        if O::EXPLAINS {
            // What is looked at only to tell of it is not what the program depends on, and no loop.
            let looks = self.program.watched.len();
            self.tell_group(group);
            self.program.watched.truncate(looks);
        }
        let live: SmallVec<[&'s BucketView; 8]> = match group.kind {
            GroupKind::All => group.buckets.iter().collect(),
            GroupKind::Indirect => group.buckets.iter().take(1).collect(),
            GroupKind::FastFailover => {
                let first = group.buckets.iter().find(|bucket| self.is_live(bucket, 0));
                first.into_iter().collect()
            }
            GroupKind::Select => {
                let wanted = |bucket: &&BucketView| bucket.weight > 0 && self.is_live(bucket, 0);
                group.buckets.iter().filter(wanted).collect()
            }
        };
        if live.is_empty() {
            // One without buckets has done all it can with the packet, and counts it.
            let counts = group.kind == GroupKind::All;
            self.look_at_group(id, counts.then_some(group.counter));
            return self.no_way(id, DropReason::NoBucket);
        }
        self.look_at_group(id, Some(group.counter));
        if group.kind == GroupKind::Select && live.len() > 1 {
            return self.select(group, &live);
        }
        for bucket in live {
            if group.kind == GroupKind::FastFailover || group.kind == GroupKind::Select {
                let text = format_args!("using bucket {}", bucket.id);
                self.observer.group(id, text);
            }
            self.observer.bucket(bucket.id.0, self.levels.len(), None);
            self.bucket(group.id, bucket, Scope::Bucket)?;
        }
        Ok(())
    }
    fn no_way(&mut self, id: GroupId, reason: DropReason) -> Outcome {
        let group = self.view.groups.get(&id).map(|(_, group)| group.kind);
        match (reason, group) {
            (_, Some(GroupKind::All)) => {}
            (DropReason::NoBucket, _) => self.observer.group(id, format_args!("no live bucket")),
            _ => self.observer.group(id, format_args!("{}", reason.text())),
        }
        self.program.drop = reason;
        Ok(())
    }
    /// Says what a group's kind makes of its buckets: which may not be taken, and why.
    #[cold]
    fn tell_group(&mut self, group: &GroupView) {
        let id = group.id;
        match group.kind {
            GroupKind::All | GroupKind::Indirect => return,
            GroupKind::FastFailover => {}
            GroupKind::Select => {
                let method = super::select::Method(group);
                self.observer.group(id, format_args!("{method}"));
            }
        }
        for bucket in &group.buckets {
            let (number, port) = (bucket.id, bucket.watch_port);
            if self.is_live(bucket, 0) {
                if group.kind == GroupKind::FastFailover {
                    return;
                }
                if bucket.weight == 0 {
                    let text = format_args!("bucket {number}: of weight 0");
                    self.observer.group(id, text);
                }
                continue;
            }
            let (of, due) = match port {
                PortNo::ANY => ("group", bucket.watch_group.0),
                port => ("port", port.0),
            };
            let text = format_args!("bucket {number}: not live due to {of} {due}");
            self.observer.group(id, text);
        }
    }
    /// The program is true for the group as it is; `counter`: and the packet counts there.
    fn look_at_group(&mut self, id: GroupId, counter: Option<RuleId>) {
        let generation = self.view.group_generation(id);
        let visit = Visit::of_group(id, generation, counter);
        match counter {
            Some(_) => self.program.visits.push(visit),
            None => self.program.watched.push(visit),
        }
    }
    /// Whether packets may be sent to a bucket (OpenFlow 1.3.5 section 6.7).
    fn is_live(&mut self, bucket: &BucketView, depth: usize) -> bool {
        if bucket.watch_port == PortNo::ANY && bucket.watch_group == GroupId::ANY {
            return true;
        }
        if bucket.watch_port != PortNo::ANY && self.is_port_live(bucket.watch_port) {
            return true;
        }
        if bucket.watch_group == GroupId::ANY || depth >= MAX_WATCHES {
            return false;
        }
        self.look_at_group(bucket.watch_group, None);
        let Some((_, group)) = self.view.groups.get(&bucket.watch_group) else {
            return false;
        };
        // More looks than lookups are a loop.
        self.program.watched.len() < MAX_LOOKUPS
            && group
                .buckets
                .iter()
                .any(|bucket| self.is_live(bucket, depth + 1))
    }
    /// Whether a port is up.
    pub(super) fn is_port_live(&self, number: PortNo) -> bool {
        self.port(number)
            .is_some_and(|port| port.live && port.config & port_config::PORT_DOWN == 0)
    }

    /// The packets choose: a branch for each bucket.
    fn select(&mut self, group: &GroupView, live: &[&'s BucketView]) -> Outcome {
        let place = |field| self.place(field);
        let mut select = Box::new(Select::new(group, &self.key, self.grown, place));
        let at = self.program.steps.len();
        // In the place of the choice.
        self.push(Step::Clone { len: 0 })?;
        let (drop, bpdu) = (self.program.drop, self.program.bpdu);
        for bucket in live {
            self.observer
                .bucket(bucket.id.0, self.levels.len(), Some(at));
            let (first, first_visit) = (self.program.steps.len(), self.program.visits.len());
            (self.program.drop, self.program.bpdu) = (DropReason::Action, bpdu);
            self.bucket(group.id, bucket, Scope::Branch)?;
            select.add(Branch {
                first: first - at - 1,
                len: self.program.steps.len() - first,
                visits: self.program.visits.drain(first_visit..).collect(),
                drop: self.program.drop,
                bpdu: match self.program.bpdu {
                    kind if kind != bpdu => kind,
                    _ => packet::bpdu::Kind::None,
                },
                ..Branch::new(bucket)
            });
        }
        (self.program.drop, self.program.bpdu) = (drop, bpdu);
        select.number = at;
        select.len = self.program.steps.len() - at - 1;
        self.program.steps[at] = Step::Select(select);
        Ok(())
    }
    /// The packet goes through a bucket, whose actions are an action set (OpenFlow 1.3.5 section 5.6.1).
    fn bucket(&mut self, group: GroupId, bucket: &'s BucketView, scope: Scope) -> Outcome {
        if self.depth >= MAX_DEPTH {
            return Err(DropReason::Depth);
        }
        if self.lookups >= MAX_LOOKUPS {
            return Err(DropReason::Resubmits);
        }
        self.lookups += 1;
        self.depth += 1;
        let visit = Visit::of_group(
            group,
            self.view.group_generation(group),
            Some(bucket.counter),
        );
        self.program.visits.push(visit);
        let len = self.levels.len();
        let saved: Saved<'s> = self.save(scope)?;
        self.levels.push(Level {
            actions: &[],
            next: 0,
            table: self.table,
            cookie: self.cookie,
            rule: self.levels.last().and_then(|level| level.rule),
            deepens: true,
            clone: Some(Box::new(saved)),
        });
        self.in_group = true;
        self.set.clear();
        for action in &bucket.actions {
            self.set.write(action)?;
        }
        self.run(len)
    }
}
