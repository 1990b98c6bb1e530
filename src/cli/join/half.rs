//! What is kept of the lines of one hop.

use std::collections::HashMap;
use std::hash::RandomState;

use super::options::Options;
use super::outcome::{Hop, Outcome};
use super::read::HopLines;
use super::record::Broken;
use super::spill::{Entry, Spill};
use super::times::Times;
use crate::cli::CommandError;

/// The maximum number of different outcomes; further ones are counted as `(other)`.
const MAX_OUTCOMES: usize = 4096;
/// The maximum number of broken lines that are shown.
const SHOWN_BROKEN: usize = 3;

/// Counts of the lines of one log.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Lines that have a correlation ID.
    pub with_id: u64,
    /// Valid lines without one.
    pub without_id: u64,
    /// The app's lines that are not about a whole request.
    pub other: u64,
    /// Lines that cannot be used.
    pub broken: u64,
    /// The first broken lines, with their numbers.
    pub first_broken: Vec<(u64, Broken)>,
}

/// What the logs of one hop hold.
pub(super) struct Half {
    /// Of each of its logs.
    pub counts: Vec<Counts>,
    pub outcomes: Outcomes,
    pub spill: Spill,
}

/// The different outcomes of a hop's lines.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    list: Vec<Outcome>,
    /// The index of each outcome.
    indexes: HashMap<Outcome, u32>,
}

impl Counts {
    fn note_broken(&mut self, number: u64, broken: Broken) {
        add_one(&mut self.broken);
        if self.first_broken.len() < SHOWN_BROKEN {
            self.first_broken.push((number, broken));
        }
    }

    /// All lines that are not blank.
    pub(super) fn lines(&self) -> u64 {
        [self.with_id, self.without_id, self.other, self.broken]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Whether each line is of a request that has an ID, or of none.
    pub(super) const fn is_complete(&self) -> bool {
        self.broken == 0 && self.without_id == 0
    }
}

impl Half {
    /// Reads the logs of one hop.
    pub(super) fn read(
        hop: &Hop,
        lines: HopLines<'_>,
        options: &Options,
        hasher: &RandomState,
    ) -> Result<Self, CommandError> {
        let folder = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        let mut outcomes = Outcomes::default();
        let mut spill = Spill::new(&folder, hasher.clone());
        let mut counts: Vec<Counts> = std::iter::repeat_with(Counts::default)
            .take(lines.files())
            .collect();
        let fields = options.fields(hop.log);
        lines.each(&fields, |file, number, record| {
            let Some(counts) = counts.get_mut(file) else {
                return Ok(());
            };
            let record = match record {
                Ok(record) if hop.log.is_request(&record) => record,
                Ok(_) => {
                    add_one(&mut counts.other);
                    return Ok(());
                }
                Err(broken) => {
                    counts.note_broken(number, broken);
                    return Ok(());
                }
            };
            match Outcome::read(hop, &record) {
                Ok(Some((id, outcome))) => {
                    add_one(&mut counts.with_id);
                    let entry = Entry {
                        times: Times::read(hop.log, &record, &fields, &outcome),
                        outcome: outcomes.index(outcome),
                    };
                    spill.push(&id, &entry).map_err(CommandError::Temporary)?;
                }
                Ok(None) => add_one(&mut counts.without_id),
                Err(broken) => counts.note_broken(number, broken),
            }
            Ok(())
        })?;
        Ok(Self {
            counts,
            outcomes,
            spill,
        })
    }
}

impl Outcomes {
    /// The index of an outcome, which is added if it is new.
    pub(super) fn index(&mut self, outcome: Outcome) -> u32 {
        if let Some(index) = self.indexes.get(&outcome) {
            return *index;
        }
        if self.list.len() < MAX_OUTCOMES {
            return self.add(outcome);
        }
        let other = Outcome {
            reason: "(other)".into(),
            shadow: None,
            ..outcome
        };
        match self.indexes.get(&other) {
            Some(index) => *index,
            None => self.add(other),
        }
    }

    fn add(&mut self, outcome: Outcome) -> u32 {
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(outcome.clone());
        self.indexes.insert(outcome, index);
        index
    }

    pub(super) fn get(&self, index: u32) -> Option<&Outcome> {
        self.list.get(usize::try_from(index).ok()?)
    }
}

/// Counts one more.
pub(super) fn add_one(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{Passed, Place};
    use super::*;

    #[test]
    fn outcomes_beyond_the_limit_are_counted_as_other() {
        let mut outcomes = Outcomes::default();
        let mut index = |reason: usize| {
            outcomes.index(Outcome {
                passed: Passed::Unknown,
                place: Place::Envoy,
                reason: reason.to_string().into(),
                shadow: None,
                step: false,
            })
        };
        let first = index(0);
        for reason in 1..MAX_OUTCOMES {
            index(reason);
        }
        let other = index(MAX_OUTCOMES);
        assert_eq!(index(MAX_OUTCOMES + 1), other);
        assert_eq!(index(0), first);
        assert_eq!(outcomes.list.len(), MAX_OUTCOMES + 1);
    }
}
