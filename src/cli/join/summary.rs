//! Counts the joined requests by kind and outcome.

use std::collections::{BTreeMap, HashMap};

use super::fields::Broken;
use super::outcome::{Log, Outcome, Place, Source};
use super::spill::Bucket;
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

#[derive(Debug, Default)]
pub(super) struct Join {
    /// The counts of both logs, the edge's first.
    pub inputs: Vec<(Log, Input)>,
    kinds: BTreeMap<Kind, u64>,
    outcomes: Vec<Outcome>,
    /// The index of each outcome.
    indexes: HashMap<Outcome, u32>,
    /// The number of requests by the index of their outcome.
    ends: HashMap<u32, u64>,
}

/// The lines of one ID.
#[derive(Debug, Default)]
struct Request {
    repeated: bool,
    /// The source and the outcome's index of the edge's first line.
    edge: Option<(Source, u32)>,
    /// The outcome's index of the mesh's first line.
    mesh: Option<u32>,
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

impl Join {
    /// The index of an outcome, which is added if it is new.
    pub(super) fn index(&mut self, outcome: Outcome) -> u32 {
        let counted = self.outcomes.len() < MAX_OUTCOMES || self.indexes.contains_key(&outcome);
        let outcome = if counted {
            outcome
        } else {
            Outcome {
                reason: "(other)".to_owned(),
                shadow: None,
                ..outcome
            }
        };
        if let Some(index) = self.indexes.get(&outcome) {
            return *index;
        }
        let index = u32::try_from(self.outcomes.len()).unwrap_or(u32::MAX);
        self.outcomes.push(outcome.clone());
        self.indexes.insert(outcome, index);
        index
    }

    /// Joins the entries of a bucket. Calls `each` with every ID, its kind and its end.
    ///
    /// # Errors
    /// [`CommandError::Temporary`], and those of `each`.
    pub(super) fn add(
        &mut self,
        bucket: Bucket,
        mut each: impl FnMut(&str, Kind, &str) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let mut requests: HashMap<Box<str>, Request> = HashMap::new();
        let read = bucket.read(|id, index| {
            let Some(outcome) = self.outcome(index) else {
                return;
            };
            // `entry` would copy every ID.
            match requests.get_mut(id) {
                Some(request) => request.add(outcome.source, index),
                None => {
                    let mut request = Request::default();
                    request.add(outcome.source, index);
                    requests.insert(id.into(), request);
                }
            }
        });
        read.map_err(CommandError::Temporary)?;
        for (id, request) in &requests {
            let (kind, end) = (request.kind(), request.end());
            count(self.kinds.entry(kind).or_default());
            count(self.ends.entry(end).or_default());
            let end = self.outcome(end).map_or_else(String::new, |outcome| {
                format!("{}: {}", outcome.place.name(), outcome.reason)
            });
            each(id, kind, &end)?;
        }
        Ok(())
    }

    fn outcome(&self, index: u32) -> Option<&Outcome> {
        self.outcomes.get(usize::try_from(index).ok()?)
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
        ends.filter_map(|(index, count)| Some((self.outcome(*index)?, *count)))
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

impl Request {
    fn add(&mut self, source: Source, outcome: u32) {
        self.repeated |= match source {
            Source::Mesh => self.mesh.is_some(),
            _ => self.edge.is_some(),
        };
        match source {
            Source::Mesh => _ = self.mesh.get_or_insert(outcome),
            _ => _ = self.edge.get_or_insert((source, outcome)),
        }
    }

    fn kind(&self) -> Kind {
        match (self.edge, self.mesh) {
            _ if self.repeated => Kind::Repeated,
            (Some(_), Some(_)) => Kind::Joined,
            (Some((Source::EdgeForwarded, _)), None) => Kind::Lost,
            (Some(_), None) => Kind::EndedAtEdge,
            (None, _) => Kind::MeshOnly,
        }
    }

    /// The outcome for the client: that of the edge if it answered itself, else that of the mesh.
    fn end(&self) -> u32 {
        match (self.edge, self.mesh) {
            (Some((Source::EdgeEnded, outcome)), _)
            | (_, Some(outcome))
            | (Some((_, outcome)), None) => outcome,
            // Cannot happen: `add` sets one of them.
            (None, None) => u32::MAX,
        }
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::super::spill::Spill;
    use super::*;

    fn outcome(source: Source, place: Place, reason: &str) -> Outcome {
        Outcome {
            source,
            place,
            reason: reason.to_owned(),
            shadow: None,
        }
    }

    fn join(lines: &[(&str, Source, Place, &str)]) -> (Join, Vec<(String, Kind)>) {
        let folder = std::env::temp_dir();
        let (mut join, mut spill) = (Join::default(), Spill::new(&folder));
        for (id, source, place, reason) in lines {
            let index = join.index(outcome(*source, *place, reason));
            spill.push(id, index).unwrap();
        }
        let mut all = Vec::new();
        for bucket in spill.finish() {
            let each = |id: &str, kind, _: &str| {
                all.push((id.to_owned(), kind));
                Ok(())
            };
            join.add(bucket, each).unwrap();
        }
        all.sort();
        (join, all)
    }

    #[test]
    fn each_request_has_one_kind_and_one_end() {
        use {Place as P, Source as S};
        let (join, kinds) = join(&[
            ("a", S::EdgeForwarded, P::Between, "lost"),
            ("a", S::Mesh, P::Filter, "role"),
            ("b", S::EdgeEnded, P::Edge, "redirected"),
            ("c", S::EdgeForwarded, P::Between, "lost"),
            ("d", S::Mesh, P::Answered, "2xx"),
            ("e", S::EdgeForwarded, P::Between, "lost"),
            ("e", S::Mesh, P::Answered, "2xx"),
            ("e", S::Mesh, P::Answered, "4xx"),
            ("f", S::EdgeEnded, P::Edge, "failed"),
            ("f", S::Mesh, P::Answered, "2xx"),
            ("g", S::EdgeUnknown, P::Edge, "status 200"),
            ("g", S::Mesh, P::Answered, "2xx"),
        ]);
        let kind = |id: &str| kinds.iter().find(|(found, _)| found == id).unwrap().1;
        assert_eq!(kind("a"), Kind::Joined);
        assert_eq!(kind("b"), Kind::EndedAtEdge);
        assert_eq!(kind("c"), Kind::Lost);
        assert_eq!(kind("d"), Kind::MeshOnly);
        assert_eq!(kind("e"), Kind::Repeated);
        assert_eq!(kind("f"), Kind::Joined);
        assert_eq!(kind("g"), Kind::Joined);
        assert_eq!(join.requests(), 7);
        assert_eq!(
            join.ends(),
            [
                (P::Answered, "2xx", 3),
                (P::Edge, "failed", 1),
                (P::Edge, "redirected", 1),
                (P::Between, "lost", 1),
                (P::Filter, "role", 1),
            ]
        );
        assert!(!join.adds_up());
    }

    #[test]
    fn outcomes_beyond_the_limit_are_counted_as_other() {
        let mut join = Join::default();
        let mut index =
            |reason: usize| join.index(outcome(Source::Mesh, Place::Envoy, &reason.to_string()));
        let first = index(0);
        for reason in 1..MAX_OUTCOMES {
            index(reason);
        }
        let other = index(MAX_OUTCOMES);
        assert_eq!(index(MAX_OUTCOMES + 1), other);
        assert_eq!(index(0), first);
        assert_eq!(join.outcomes.len(), MAX_OUTCOMES + 1);
    }

    #[test]
    fn logs_add_up_only_without_broken_lines() {
        use {Place as P, Source as S};
        let pair = [
            ("a", S::EdgeForwarded, P::Between, "lost"),
            ("a", S::Mesh, P::Answered, "2xx"),
            ("b", S::EdgeEnded, P::Edge, "redirected"),
        ];
        let (mut join, _) = join(&pair);
        assert!(join.adds_up());
        let mut input = Input::default();
        input.note_broken(3, Broken::NotJson);
        join.inputs.push((Log::Mesh, input));
        assert!(!join.adds_up());
    }
}
