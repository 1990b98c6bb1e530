//! Requests that wait for keys: bounded in number and in time, gone with their stream.

use std::cell::RefCell;
use std::rc::Rc;

/// The most requests that one worker lets wait.
const MAX_WAITING: usize = 1_024;

/// What a stream's response must carry: name and value of the correlation header.
pub(super) type ResponseHeader = Rc<RefCell<Option<(Rc<str>, Rc<str>)>>>;

/// One request that waits.
pub(super) struct Waiter {
    /// The stream's context.
    pub(super) stream: u32,
    /// The issuer whose keys it waits for.
    pub(super) issuer: usize,
    /// When it came, in milliseconds since 1970.
    pub(super) arrived: u64,
    /// When it stops waiting.
    pub(super) until: u64,
    /// Where its correlation ID goes.
    pub(super) response_header: ResponseHeader,
}

/// All of a worker's requests that wait.
#[derive(Default)]
pub(super) struct Waiting(Vec<Waiter>);

impl Waiting {
    /// Lets a request wait, if there is room.
    pub(super) fn add(&mut self, waiter: Waiter) -> bool {
        let room = self.0.len() < MAX_WAITING;
        if room {
            self.0.push(waiter);
        }
        room
    }

    /// The stream is gone.
    pub(super) fn remove(&mut self, stream: u32) {
        self.0.retain(|waiter| waiter.stream != stream);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes those out that `ready` names.
    pub(super) fn take(&mut self, mut ready: impl FnMut(&Waiter) -> bool) -> Vec<Waiter> {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|it| ready(it));
        self.0 = left;
        taken
    }
}
