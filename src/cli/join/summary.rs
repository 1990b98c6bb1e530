//! Counts the joined requests by kind and outcome.

use std::collections::{BTreeMap, HashMap};
use std::hash::RandomState;
use std::io;

use super::latency::Latencies;
use super::options::Options;
use super::outcome::{Log, Outcome, Place, Source};
use super::read::LogLines;
use super::record::Broken;
use super::spill::{Encoded, Entry, Loaded, Spill};
use super::times::{Parts, Resolution, Times};
use crate::cli::CommandError;

/// The maximum number of different outcomes; further ones are counted as `(other)`.
const MAX_OUTCOMES: usize = 4096;
/// The maximum number of broken lines that are shown.
const SHOWN_BROKEN: usize = 3;

/// Counts of the lines of one log.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Lines that have a correlation ID.
    pub with_id: u64,
    /// Valid lines without one.
    pub without_id: u64,
    /// Lines that cannot be used.
    pub broken: u64,
    /// The first broken lines, with their numbers.
    pub first_broken: Vec<(u64, Broken)>,
}

/// In which logs a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Once in each log.
    Joined,
    /// In the edge's log only, and not as forwarded.
    EndedAtEdge,
    /// Forwarded by the edge, but not in the mesh's log.
    Lost,
    /// In the mesh's log only.
    MeshOnly,
    /// More than once in one of the logs.
    Repeated,
}

/// What one log holds.
pub(super) struct Half {
    pub input: Input,
    pub outcomes: Outcomes,
    pub spill: Spill,
}

/// The different outcomes of a log's lines.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    list: Vec<Outcome>,
    /// The index of each outcome.
    indexes: HashMap<Outcome, u32>,
}

/// The requests of both logs.
#[derive(Debug)]
pub(super) struct Join {
    /// The counts of both logs, the edge's first.
    pub inputs: [(Log, Input); 2],
    /// How long the requests took.
    pub latencies: Latencies,
    kinds: BTreeMap<Kind, u64>,
    edge: Outcomes,
    mesh: Outcomes,
    /// The number of requests by the log and the index of their outcome.
    ends: HashMap<(Log, u32), u64>,
}

/// A request: the lines of one ID.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub id: &'a str,
    pub kind: Kind,
    /// Where it ended, and why.
    pub end: &'a Outcome,
    /// Unknown for a repeated ID, whose lines are of several requests.
    pub parts: Parts,
}

/// The lines of one ID.
#[derive(Debug, Default)]
struct Lines<'a> {
    repeated: bool,
    /// The first line of each log.
    edge: Option<Encoded<'a>>,
    mesh: Option<Encoded<'a>>,
}

impl Input {
    pub(super) fn note_broken(&mut self, number: u64, broken: Broken) {
        self.broken = self.broken.saturating_add(1);
        if self.first_broken.len() < SHOWN_BROKEN {
            self.first_broken.push((number, broken));
        }
    }

    /// All lines that are not blank.
    pub(super) const fn lines(&self) -> u64 {
        self.with_id
            .saturating_add(self.without_id)
            .saturating_add(self.broken)
    }
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

impl Half {
    /// Reads one log.
    pub(super) fn read(
        log: Log,
        lines: LogLines<'_>,
        options: &Options,
        hasher: &RandomState,
    ) -> Result<Self, CommandError> {
        let folder = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        let mut half = Self {
            input: Input::default(),
            outcomes: Outcomes::default(),
            spill: Spill::new(&folder, hasher.clone()),
        };
        let fields = options.fields(log);
        let forwarded = &options.edge_fields.edge_forwarded;
        lines.each(&fields, |number, record| {
            let record = match record {
                Ok(record) => record,
                Err(broken) => {
                    half.input.note_broken(number, broken);
                    return Ok(());
                }
            };
            match Outcome::read(log, &record, forwarded) {
                Ok(Some((id, outcome))) => {
                    half.input.with_id = half.input.with_id.saturating_add(1);
                    let entry = Entry {
                        times: Times::read(log, &record, &fields, &outcome),
                        outcome: half.outcomes.index(outcome),
                    };
                    half.spill
                        .push(&id, &entry)
                        .map_err(CommandError::Temporary)?;
                }
                Ok(None) => half.input.without_id = half.input.without_id.saturating_add(1),
                Err(broken) => half.input.note_broken(number, broken),
            }
            Ok(())
        })?;
        Ok(half)
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

    fn get(&self, index: u32) -> Option<&Outcome> {
        self.list.get(usize::try_from(index).ok()?)
    }
}

impl Join {
    /// Joins what was read from both logs. Calls `each` with every request.
    ///
    /// # Errors
    /// [`CommandError::Temporary`], and those of `each`.
    pub(super) fn new(
        edge: Half,
        mesh: Half,
        resolution: Resolution,
        mut each: impl FnMut(&Request<'_>) -> Result<(), CommandError>,
    ) -> Result<Self, CommandError> {
        let mut join = Self {
            inputs: [(Log::Edge, edge.input), (Log::Mesh, mesh.input)],
            latencies: Latencies::default(),
            kinds: BTreeMap::new(),
            edge: edge.outcomes,
            mesh: mesh.outcomes,
            ends: HashMap::new(),
        };
        for (edge, mesh) in edge.spill.finish().zip(mesh.spill.finish()) {
            let edge = edge.load().map_err(CommandError::Temporary)?;
            let mesh = mesh.load().map_err(CommandError::Temporary)?;
            let lines = lines_by_id(&edge, &mesh).map_err(CommandError::Temporary)?;
            for (id, lines) in lines {
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
        let decode = |line: Option<Encoded<'_>>| {
            let decoded = line.map(Encoded::decode).transpose();
            decoded.map_err(CommandError::Temporary)
        };
        let (edge, mesh) = (decode(lines.edge)?, decode(lines.mesh)?);
        let edge_outcome = edge.and_then(|edge| self.edge.get(edge.outcome));
        let source = edge_outcome.map(|outcome| outcome.source);
        // The outcome for the client: that of the edge if it answered itself, else that of the mesh.
        let end = match (edge, mesh) {
            (Some(edge), Some(_)) if source == Some(Source::EdgeEnded) => (Log::Edge, edge.outcome),
            (_, Some(mesh)) => (Log::Mesh, mesh.outcome),
            (Some(edge), None) => (Log::Edge, edge.outcome),
            (None, None) => return Ok(()),
        };
        let kind = match (source, mesh) {
            _ if lines.repeated => Kind::Repeated,
            (Some(_), Some(_)) => Kind::Joined,
            (Some(Source::EdgeForwarded), None) => Kind::Lost,
            (Some(_), None) => Kind::EndedAtEdge,
            (None, _) => Kind::MeshOnly,
        };
        let parts = if lines.repeated {
            Parts::default()
        } else {
            let edge = source.zip(edge.map(|edge| edge.times));
            Parts::of(edge, mesh.map(|mesh| mesh.times), resolution)
        };
        self.latencies.add(&parts);
        count(self.kinds.entry(kind).or_default());
        count(self.ends.entry(end).or_default());
        let Some(end) = self.outcome(end) else {
            return Ok(());
        };
        let id = std::str::from_utf8(id).unwrap_or_default();
        each(&Request {
            id,
            kind,
            end,
            parts,
        })
    }

    fn outcome(&self, (log, index): (Log, u32)) -> Option<&Outcome> {
        match log {
            Log::Edge => self.edge.get(index),
            Log::Mesh => self.mesh.get(index),
        }
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

    /// Whether the mesh's log has exactly the requests that the edge forwarded, each once, and no line is
    /// broken or without an ID.
    pub(super) fn adds_up(&self) -> bool {
        let complete = |(_, input): &(Log, Input)| input.broken == 0 && input.without_id == 0;
        self.inputs.iter().all(complete)
            && [Kind::Lost, Kind::MeshOnly, Kind::Repeated]
                .into_iter()
                .all(|kind| self.count(kind) == 0)
    }
}

/// The lines of each ID in a bucket of the edge's log and the same of the mesh's.
fn lines_by_id<'a>(edge: &'a Loaded, mesh: &'a Loaded) -> io::Result<HashMap<&'a [u8], Lines<'a>>> {
    let mut ids: HashMap<&[u8], Lines<'_>> = HashMap::new();
    for entry in edge.entries() {
        let (id, entry) = entry?;
        let lines = ids.entry(id).or_default();
        lines.repeated |= lines.edge.is_some();
        lines.edge.get_or_insert(entry);
    }
    for entry in mesh.entries() {
        let (id, entry) = entry?;
        let lines = ids.entry(id).or_default();
        lines.repeated |= lines.mesh.is_some();
        lines.mesh.get_or_insert(entry);
    }
    Ok(ids)
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
mod tests;
