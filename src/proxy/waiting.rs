//! Requests that wait for keys: bounded in number and in time, gone with their stream.

use std::cell::Cell;
use std::rc::Rc;

/// The most requests that one worker lets wait for one issuer's keys, so that a flood that names one
/// issuer leaves room for the users of the others.
const MAX_WAITING: usize = 512;

/// What a stream's response must carry: name and value of the correlation header.
pub(super) type Header = (Rc<str>, Rc<str>);

/// Where a stream that waits finds that header later.
pub(super) type LateHeader = Rc<Cell<Option<Header>>>;

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
    /// The key set that did not have its key, by when its fetch began.
    pub(super) asked: Option<u64>,
    /// Where its correlation ID goes.
    pub(super) response_header: LateHeader,
}

/// All of a worker's requests that wait.
#[derive(Default)]
pub(super) struct Waiting(Vec<Waiter>);

impl Waiting {
    /// Whether one more may wait for that issuer's keys.
    pub(super) fn has_room(&self, issuer: usize) -> bool {
        let same = self.0.iter().filter(|waiter| waiter.issuer == issuer);
        same.count() < MAX_WAITING
    }

    /// Lets a request wait.
    pub(super) fn add(&mut self, waiter: Waiter) {
        self.0.push(waiter);
    }

    /// The stream is gone.
    pub(super) fn remove(&mut self, stream: u32) {
        self.0.retain(|waiter| waiter.stream != stream);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes those out that `ready` names.
    pub(super) fn take(&mut self, ready: impl FnMut(&Waiter) -> bool) -> Vec<Waiter> {
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(ready);
        self.0 = left;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(stream: u32, issuer: usize) -> Waiter {
        Waiter {
            stream,
            issuer,
            arrived: 0,
            until: 0,
            asked: None,
            response_header: LateHeader::default(),
        }
    }

    #[test]
    fn a_flood_for_one_issuer_leaves_room_for_the_others() {
        let mut waiting = Waiting::default();
        let mut stream = 0;
        while waiting.has_room(0) {
            stream += 1;
            waiting.add(waiter(stream, 0));
        }
        assert_eq!(usize::try_from(stream), Ok(MAX_WAITING));
        assert!(waiting.has_room(1));
        waiting.remove(1);
        assert!(waiting.has_room(0));
        let taken = waiting.take(|waiter| waiter.stream > 2);
        assert_eq!(taken.len(), MAX_WAITING - 2);
        waiting.remove(2);
        assert!(waiting.is_empty());
    }
}
