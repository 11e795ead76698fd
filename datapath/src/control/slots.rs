//! Numbers that are handed out densely, lowest first while they are new, and used again when freed.

/// Numbers below a limit.
pub(super) struct Slots {
    next: u32,
    limit: u32,
    free: Vec<u32>,
}

impl Slots {
    /// All numbers below `limit` are free.
    pub(super) fn new(limit: usize) -> Slots {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Slots {
            next: 0,
            limit,
            free: Vec::new(),
        }
    }
    /// A number, and whether it was in use before; `None`: all are taken.
    pub(super) fn take(&mut self) -> Option<(u32, bool)> {
        if let Some(number) = self.free.pop() {
            return Some((number, true));
        }
        (self.next < self.limit).then(|| {
            self.next += 1;
            (self.next - 1, false)
        })
    }
    /// Gives a number back.
    pub(super) fn free(&mut self, number: u32) {
        self.free.push(number);
    }
    /// How many more can be taken.
    pub(super) fn room(&self) -> usize {
        self.free.len() + (self.limit - self.next) as usize
    }
}
