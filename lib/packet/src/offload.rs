//! What is still to be done to a frame before it may leave as it is: finish a checksum, cut into
//! segments. Filled by ports that receive unfinished frames, honoured by ports that send them.

/// The kind of segments a large frame is to be cut into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Segmentation {
    /// One packet already.
    #[default]
    None,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP, each segment a datagram of its own.
    Udp,
}

/// Unfinished work on one frame. The default is "finished".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Offset in bytes from the frame's first byte at which the checksummed part starts;
    /// 0 when no checksum is pending. The checksum field holds the pseudo-header's sum.
    pub csum_start: u16,
    /// Offset in bytes of the checksum field from `csum_start`.
    pub csum_offset: u16,
    /// How to cut the frame.
    pub segmentation: Segmentation,
    /// Payload bytes of each segment; 0 when `segmentation` is `None`.
    pub segment_size: u16,
}

impl Offload {
    /// Nothing is pending.
    #[inline]
    pub fn is_finished(&self) -> bool {
        self.csum_start == 0 && matches!(self.segmentation, Segmentation::None)
    }

    /// Moves the record with the frame's start: `by` bytes were put in front (negative: removed).
    #[inline]
    pub fn shift(&mut self, by: isize) {
        if self.csum_start != 0 {
            self.csum_start = (self.csum_start as isize + by) as u16;
        }
    }
}
