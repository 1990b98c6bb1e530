//! A server of key sets. It counts requests, and answers correctly or not, as a test wants.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::tokens::{self, Key};
use crate::upstream::{Answer, Seen, Upstream};

/// A running key server. It answers at any path.
pub struct KeyServer {
    upstream: Upstream,
    answer: Arc<Mutex<Answer>>,
}

/// Answers that are no key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// A key set without keys.
    Empty,
    /// A good key set of more than 64 KiB.
    Oversized,
    /// Malformed JSON.
    Malformed,
    /// An answer after five seconds.
    Slow,
    /// Status 500, with a good key set as its body.
    Error,
    /// Status 302 to a place that has a key set.
    Redirect,
    /// A connection that is closed without a response.
    Closed,
}

impl Bad {
    pub const ALL: [Self; 7] = [
        Self::Empty,
        Self::Oversized,
        Self::Malformed,
        Self::Slow,
        Self::Error,
        Self::Redirect,
        Self::Closed,
    ];
}

impl KeyServer {
    /// A server that answers with these keys.
    #[must_use]
    pub fn start(keys: &[&Key]) -> Self {
        let answer = Arc::new(Mutex::new(key_set(keys)));
        let theirs = Arc::clone(&answer);
        let upstream = Upstream::answering(move |_| lock(&theirs).clone());
        Self { upstream, answer }
    }

    /// Answers with these keys from now on.
    pub fn publish(&self, keys: &[&Key]) {
        *lock(&self.answer) = key_set(keys);
    }

    /// Answers with these keys from now on, but only after that time.
    pub fn publish_after(&self, after: Duration, keys: &[&Key]) {
        let answer = key_set(keys);
        *lock(&self.answer) = Answer { after, ..answer };
    }

    /// Answers badly from now on. The keys are those of the answers that have some.
    pub fn answer_badly(&self, how: Bad, keys: &[&Key]) {
        let good = key_set(keys);
        *lock(&self.answer) = match how {
            Bad::Empty => Answer::json(200, &json!({"keys": []})),
            Bad::Oversized => {
                let mut set = tokens::jwks(keys);
                set["padding"] = Value::String("x".repeat(65_536));
                Answer::json(200, &set)
            }
            Bad::Malformed => Answer {
                body: b"{\"keys\": [".to_vec(),
                ..good
            },
            Bad::Slow => Answer {
                after: Duration::from_secs(5),
                ..good
            },
            Bad::Error => Answer {
                status: 500,
                ..good
            },
            Bad::Redirect => Answer {
                status: 302,
                headers: vec![(b"location".to_vec(), b"/jwks.json".to_vec())],
                ..good
            },
            Bad::Closed => Answer::default(),
        };
    }

    /// How often it was asked.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.upstream.count()
    }

    /// What it was asked.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.upstream.seen()
    }

    /// The server as an upstream, for a cluster.
    #[must_use]
    pub const fn upstream(&self) -> &Upstream {
        &self.upstream
    }
}

fn key_set(keys: &[&Key]) -> Answer {
    Answer::json(200, &tokens::jwks(keys))
}

fn lock(answer: &Mutex<Answer>) -> MutexGuard<'_, Answer> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}
