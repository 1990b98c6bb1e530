//! Counts the joined requests by kind and outcome.

use std::collections::{BTreeMap, HashMap};

use super::half::{Counts, Half, Outcomes, add_one};
use super::latency::Latencies;
use super::outcome::{HOPS, Log, Outcome, Passed, Place};
use super::parts::{Parts, Resolution};
use super::spill::{BUCKETS, Encoded, Entry, Spill};
use super::times::Times;
use crate::cli::CommandError;

/// In which logs a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// In the logs of all hops that it reached.
    Joined,
    /// In the first hop's log only, and not as forwarded.
    EndedAtEdge,
    /// Forwarded by a hop, but not in the next hop's log.
    Lost,
    /// In the log of a hop, but not in that of the first one.
    MeshOnly,
    /// More often in one of the logs than the hop before tried.
    Repeated,
}

/// The requests of all logs.
#[derive(Debug)]
pub(super) struct Join {
    /// The counts of all logs, in the order of a request's way.
    pub counts: Vec<Counts>,
    /// How long the requests took.
    pub latencies: Latencies,
    kinds: BTreeMap<Kind, u64>,
    /// The number of requests that each hop lacks.
    missing: [u64; HOPS],
    /// `None` for a hop without a log.
    outcomes: [Option<Outcomes>; HOPS],
    /// The number of requests by the log and the index of their outcome.
    ends: HashMap<(Log, u32), u64>,
}

/// A request: the lines of one ID.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub id: &'a str,
    pub kind: Kind,
    /// The hops that lack it.
    pub missing: &'a [Log],
    /// Where it ended, and why.
    pub end: &'a Outcome,
    /// Unknown for a repeated ID, whose lines are of several requests.
    pub parts: Parts,
}

/// The lines of one ID in the log of each hop.
type Lines<'a> = [Option<Seen<'a>>; HOPS];

/// The lines of one ID in one log: the last, and how many. What the steps of its login tell counts only without
/// another line.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    last: Encoded<'a>,
    count: u32,
    steps: u32,
}

/// A line that was read, and what its hop did.
#[derive(Debug, Clone, Copy)]
struct Read {
    entry: Entry,
    passed: Passed,
    place: Place,
    count: u32,
    steps: u32,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Joined,
        Self::EndedAtEdge,
        Self::Lost,
        Self::MeshOnly,
        Self::Repeated,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::EndedAtEdge => "edge",
            Self::Lost => "lost",
            Self::MeshOnly => "mesh_only",
            Self::Repeated => "repeated",
        }
    }
}

impl Join {
    /// Joins what was read from the logs of each hop. Calls `each` with every request.
    ///
    /// # Errors
    /// [`CommandError::Temporary`], and those of `each`.
    pub(super) fn new(
        halves: Vec<(Log, Half)>,
        resolution: Resolution,
        mut each: impl FnMut(&Request<'_>) -> Result<(), CommandError>,
    ) -> Result<Self, CommandError> {
        let mut join = Self {
            counts: Vec::new(),
            latencies: Latencies::default(),
            kinds: BTreeMap::new(),
            missing: [0; HOPS],
            outcomes: [const { None }; HOPS],
            ends: HashMap::new(),
        };
        let mut spills: Vec<(Log, Spill)> = Vec::new();
        for (log, half) in halves {
            join.counts.extend(half.counts);
            if let Some(outcomes) = join.outcomes.get_mut(log as usize) {
                *outcomes = Some(half.outcomes);
            }
            spills.push((log, half.spill));
        }
        for bucket in 0..BUCKETS {
            let loaded = spills
                .iter_mut()
                .map(|(log, spill)| Ok((*log, spill.load(bucket)?)))
                .collect::<Result<Vec<_>, _>>()
                .map_err(CommandError::Temporary)?;
            let mut ids: HashMap<&[u8], Lines<'_>> = HashMap::new();
            for (log, loaded) in &loaded {
                for entry in loaded.entries() {
                    let (id, line) = entry.map_err(CommandError::Temporary)?;
                    let is_step = *log == Log::Edge && join.is_step(line);
                    if let Some(seen) = ids.entry(id).or_default().get_mut(*log as usize) {
                        Seen::add(seen, line, is_step);
                    }
                }
            }
            for (id, lines) in ids {
                join.add(id, &lines, resolution, &mut each)?;
            }
        }
        Ok(join)
    }

    fn add(
        &mut self,
        id: &[u8],
        lines: &Lines<'_>,
        resolution: Resolution,
        each: &mut impl FnMut(&Request<'_>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let mut read: [Option<Read>; HOPS] = [None; HOPS];
        for ((slot, line), outcomes) in read.iter_mut().zip(lines).zip(&self.outcomes) {
            let (Some(seen), Some(outcomes)) = (line, outcomes) else {
                continue;
            };
            let entry = seen.last.decode().map_err(CommandError::Temporary)?;
            *slot = outcomes.get(entry.outcome).map(|outcome| Read {
                entry,
                passed: outcome.passed,
                place: outcome.place,
                count: seen.count,
                steps: seen.steps,
            });
        }
        let Some((end, entry)) = end(&read) else {
            return Ok(());
        };
        let (missing, kind) = self.kind(&read);
        let parts = if kind == Kind::Repeated {
            Parts::default()
        } else {
            Parts::of(&read.map(|read| read?.times()), resolution)
        };
        self.latencies.add(&parts);
        add_one(self.kinds.entry(kind).or_default());
        add_one(self.ends.entry((end, entry.outcome)).or_default());
        for log in &missing {
            if let Some(missing) = self.missing.get_mut(*log as usize) {
                add_one(missing);
            }
        }
        let Some(end) = self.outcome((end, entry.outcome)) else {
            return Ok(());
        };
        let id = std::str::from_utf8(id).unwrap_or_default();
        each(&Request {
            id,
            kind,
            missing: &missing,
            end,
            parts,
        })
    }

    /// The hops that lack a request, and its kind.
    fn kind(&self, read: &[Option<Read>; HOPS]) -> (Vec<Log>, Kind) {
        let with_log = Log::ALL.into_iter().zip(read).zip(&self.outcomes);
        let hops =
            with_log.filter_map(|((log, read), outcomes)| outcomes.as_ref().and(Some((log, read))));
        let last = hops.clone().rfind(|(_, read)| read.is_some());
        let last = last.map(|(log, _)| log);
        let mut missing = Vec::new();
        let (mut behind_first, mut repeated, mut present) = (false, false, 0_usize);
        let mut before: Option<&Read> = None;
        // Whether the hop before this one, if it has a line, says that it passed the request on.
        let mut expected = false;
        for (log, read) in hops.clone() {
            match read {
                Some(read) => {
                    let tries = before.and_then(|before| before.entry.times.attempts);
                    repeated |= u64::from(read.count) > tries.unwrap_or(1).max(1);
                    present = present.saturating_add(1);
                    expected = read.passed == Passed::On;
                    before = Some(read);
                }
                None => {
                    if expected || Some(log) < last {
                        missing.push(log);
                        behind_first |= before.is_none();
                    }
                    expected = false;
                }
            }
        }
        let first = hops.clone().next().map(|(log, _)| log);
        let kind = match () {
            () if repeated => Kind::Repeated,
            () if behind_first => Kind::MeshOnly,
            () if !missing.is_empty() => Kind::Lost,
            () if present == 1 && last == first => Kind::EndedAtEdge,
            () => Kind::Joined,
        };
        (missing, kind)
    }

    /// Whether the edge's line is a step of a login.
    fn is_step(&self, line: Encoded<'_>) -> bool {
        let outcome = line
            .outcome()
            .and_then(|index| self.outcome((Log::Edge, index)));
        outcome.is_some_and(|outcome| outcome.step)
    }

    fn outcome(&self, (log, index): (Log, u32)) -> Option<&Outcome> {
        self.outcomes.get(log as usize)?.as_ref()?.get(index)
    }

    /// The hops that have a log, in the order of a request's way.
    pub(super) fn hops(&self) -> impl Iterator<Item = Log> {
        let all = Log::ALL.into_iter().zip(&self.outcomes);
        all.filter_map(|(log, outcomes)| outcomes.as_ref().map(|_| log))
    }

    /// The number of requests that a hop lacks.
    pub(super) fn missing(&self, log: Log) -> u64 {
        self.missing.get(log as usize).copied().unwrap_or_default()
    }

    /// The number of requests of a kind.
    pub(super) fn count(&self, kind: Kind) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }

    /// The number of all requests, that is, of different IDs.
    pub(super) fn requests(&self) -> u64 {
        self.kinds
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Where requests ended: place, reason and count; sorted by place, then by descending count.
    pub(super) fn ends(&self) -> Vec<(Place, &str, u64)> {
        let mut ends: BTreeMap<(Place, &str), u64> = BTreeMap::new();
        for (outcome, count) in self.counted() {
            let sum = ends.entry((outcome.place, &outcome.reason)).or_default();
            *sum = sum.saturating_add(count);
        }
        let mut ends: Vec<_> = ends
            .into_iter()
            .map(|((place, reason), count)| (place, reason, count))
            .collect();
        ends.sort_by_key(|(place, _, count)| (*place, std::cmp::Reverse(*count)));
        ends
    }

    /// Requests that would have been denied without shadow mode: reason and count, by descending count.
    pub(super) fn shadows(&self) -> Vec<(&str, u64)> {
        let mut shadows: BTreeMap<&str, u64> = BTreeMap::new();
        for (outcome, count) in self.counted() {
            if let Some(reason) = &outcome.shadow {
                let sum = shadows.entry(reason).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        let mut shadows: Vec<_> = shadows.into_iter().collect();
        shadows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        shadows
    }

    fn counted(&self) -> impl Iterator<Item = (&Outcome, u64)> {
        let ends = self.ends.iter();
        ends.filter_map(|(end, count)| Some((self.outcome(*end)?, *count)))
    }

    /// Whether the log of each hop has exactly the requests that reached it, and no line is broken or without
    /// an ID.
    pub(super) fn adds_up(&self) -> bool {
        self.counts.iter().all(Counts::is_complete)
            && [Kind::Lost, Kind::MeshOnly, Kind::Repeated]
                .into_iter()
                .all(|kind| self.count(kind) == 0)
    }
}

impl<'a> Seen<'a> {
    fn add(seen: &mut Option<Self>, line: Encoded<'a>, is_step: bool) {
        let seen = seen.get_or_insert(Self {
            last: line,
            count: 0,
            steps: 0,
        });
        if is_step {
            seen.steps = seen.steps.saturating_add(1);
        } else {
            seen.count = seen.count.saturating_add(1);
        }
        if !is_step || seen.count == 0 {
            seen.last = line;
        }
    }
}

impl Read {
    /// The times of the line. Of several lines of a hop, none tells for all.
    fn times(self) -> Option<(Passed, Times)> {
        let is_only = matches!((self.count, self.steps), (1, _) | (0, 1));
        is_only.then_some((self.passed, self.entry.times))
    }
}

/// The outcome for the client: that of the first hop that answered itself; else the app's, if it has a reason of
/// its own; else the mesh's, which knows most; else that of the last hop.
fn end(read: &[Option<Read>; HOPS]) -> Option<(Log, Entry)> {
    let lines = || {
        Log::ALL
            .into_iter()
            .zip(read)
            .filter_map(|(log, read)| Some((log, read.as_ref()?)))
    };
    let answered = lines().find(|(log, read)| *log != Log::App && read.passed == Passed::Not);
    let denied = || lines().find(|(_, read)| read.place == Place::App);
    let by_mesh = || lines().find(|(log, _)| *log == Log::Mesh);
    let found = answered
        .or_else(denied)
        .or_else(by_mesh)
        .or_else(|| lines().next_back());
    found.map(|(log, read)| (log, read.entry))
}

#[cfg(test)]
mod tests;
