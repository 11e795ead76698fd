//! Many changes on their way to a switch: in batches, each with a barrier, or as one bundle that is
//! done whole or not at all. Errors come back with the line that they are about.

use crate::command::Place;
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use bytes::BytesMut;
use ofp::message::{Body, BundleAdd, BundleCommand, BundleControl, ErrorBody, bundle_flag};
use ofp::types::{Version, Xid};

/// Bytes of changes between two barriers: fits the buffers of a socket, so that neither side can
/// block the other, and bounds what has to be remembered of what was sent.
const BATCH_SIZE: usize = 48 << 10;
/// Refused changes that are shown.
const SHOWN_ERRORS: usize = 20;
/// The number of our bundle: a connection has one at a time.
const BUNDLE: u32 = 0;
const FLAGS: u16 = bundle_flag::ATOMIC | bundle_flag::ORDERED;

/// Versions that have bundles.
pub fn has_bundles(version: &Version) -> bool {
    *version >= Version::V13
}

/// Changes on their way.
pub struct Transmission<'c> {
    connection: &'c mut Connection,
    bundle: bool,
    bytes: BytesMut,
    sent: Vec<(Xid, Place)>,
}

impl<'c> Transmission<'c> {
    /// Changes one by one.
    pub fn plain(connection: &'c mut Connection) -> Transmission<'c> {
        Transmission {
            connection,
            bundle: false,
            bytes: BytesMut::new(),
            sent: Vec::new(),
        }
    }

    /// Changes as one bundle. The switch's error if it cannot do bundles.
    pub fn bundle(connection: &'c mut Connection) -> Result<Transmission<'c>> {
        let mut this = Transmission::plain(connection);
        this.control(BundleCommand::OpenRequest)?;
        this.bundle = true;
        Ok(this)
    }

    fn control(&mut self, command: BundleCommand) -> Result<()> {
        let control = BundleControl {
            bundle: BUNDLE,
            command,
            flags: FLAGS,
        };
        self.connection
            .ask(Body::BundleControl(control))
            .map(|_| ())
    }

    /// Adds a change. `standard`: OpenFlow 1.0's own flow message can say it.
    pub fn add(&mut self, body: Body, standard: bool, place: Place) -> Result<()> {
        let xid = match (self.bundle, body) {
            (true, body) => {
                let wrap = |message| {
                    Body::BundleAdd(Box::new(BundleAdd {
                        bundle: BUNDLE,
                        flags: FLAGS,
                        message,
                        raw: Default::default(),
                    }))
                };
                self.connection
                    .encode_wrapped(body, wrap, &mut self.bytes)?
            }
            (false, Body::FlowMod(flow)) => {
                self.connection
                    .encode_flow(*flow, standard, &mut self.bytes)?
            }
            (false, body) => self.connection.encode(body, &mut self.bytes)?,
        };
        self.sent.push((xid, place));
        match self.bytes.len() >= BATCH_SIZE {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Sends what is there and waits until the switch has done it.
    fn flush(&mut self) -> Result<()> {
        let barrier = self
            .connection
            .encode(Body::BarrierRequest, &mut self.bytes)?;
        self.connection.write(&self.bytes)?;
        self.bytes.clear();
        let mut errors = Vec::new();
        self.connection
            .wait_barrier(barrier, |xid, error| errors.push((xid, error.clone())))?;
        if !errors.is_empty() {
            return Err(self.describe(&errors));
        }
        if !self.bundle {
            self.sent.clear();
        }
        Ok(())
    }

    /// The last changes; the bundle takes place.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        if !self.bundle {
            return Ok(());
        }
        self.control(BundleCommand::CloseRequest)?;
        let commit = BundleControl {
            bundle: BUNDLE,
            command: BundleCommand::CommitRequest,
            flags: FLAGS,
        };
        let mut errors = Vec::new();
        let commit = self.connection.send(Body::BundleControl(commit))?;
        self.connection
            .wait_answer(commit, |xid, error| errors.push((xid, error.clone())))?;
        match errors.is_empty() {
            true => Ok(()),
            false => Err(self.describe(&errors)),
        }
    }

    /// The errors, each with its line.
    fn describe(&self, errors: &[(Xid, ErrorBody)]) -> Failure {
        let mut text = String::new();
        for (xid, error) in errors.iter().take(SHOWN_ERRORS) {
            let sent = self.sent.binary_search_by_key(xid, |s| s.0).ok();
            if let Some((file, line)) = sent.and_then(|at| self.sent[at].1.as_ref()) {
                text.push_str(&format!("{file}:{line}: "));
            }
            text.push_str(&self.connection.describe_error(*xid, error));
        }
        if let Some(more) = errors.len().checked_sub(SHOWN_ERRORS).filter(|n| *n > 0) {
            text.push_str(&format!("ofctl: and {more} more errors\n"));
        }
        if self.bundle {
            text.push_str("ofctl: nothing was changed\n");
        }
        Failure::Switch(text)
    }
}
