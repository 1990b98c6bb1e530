//! What the two logs come to when they are joined.

use std::collections::{BTreeMap, HashMap};

use super::JoinError;
use super::event::{Event, Passage, Place, Side};
use super::fields::Broken;
use super::spill::{Bucket, Entry};

/// How many different ends are told apart. Reasons are few; a log with more has something else there.
const MAX_LABELS: usize = 4096;
/// How many broken lines are shown.
const SHOWN_BROKEN: usize = 3;

/// What was read of one log.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Lines that have a correlation ID.
    pub with_id: u64,
    /// Lines that are fine and have none.
    pub without_id: u64,
    /// Lines that cannot be used.
    pub broken: u64,
    /// The first of them, by line number.
    pub first_broken: Vec<(u64, Broken)>,
}

/// How a request is found in the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Once in each log.
    Joined,
    /// At the edge only, where it ended (or the edge's log does not say that it went on).
    EndedAtEdge,
    /// Forwarded by the edge, and not in the mesh's log.
    Lost,
    /// In the mesh's log only.
    MeshOnly,
    /// More than once in one of the logs.
    Repeated,
}

/// Where and how a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Label {
    place: Place,
    reason: String,
    shadow: Option<String>,
}

/// The join so far.
#[derive(Debug, Default)]
pub(super) struct Join {
    /// What was read, the edge's log first.
    pub inputs: Vec<(Side, Input)>,
    kinds: BTreeMap<Kind, u64>,
    labels: Vec<Label>,
    numbers: HashMap<Label, u32>,
    ends: HashMap<u32, u64>,
}

/// The lines of one ID.
#[derive(Debug, Default)]
struct Request {
    edge: u32,
    mesh: u32,
    edge_end: Option<(Passage, u32)>,
    mesh_end: Option<u32>,
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
    /// What to keep of a line.
    pub(super) fn entry(&mut self, side: Side, event: &Event) -> Entry {
        let label = Label {
            place: event.place,
            reason: event.reason.clone(),
            shadow: event.shadow.clone(),
        };
        Entry {
            side,
            passage: event.passage,
            label: self.number(label),
        }
    }

    fn number(&mut self, label: Label) -> u32 {
        let label = if self.labels.len() < MAX_LABELS || self.numbers.contains_key(&label) {
            label
        } else {
            Label {
                place: label.place,
                reason: "(other)".to_owned(),
                shadow: None,
            }
        };
        if let Some(number) = self.numbers.get(&label) {
            return *number;
        }
        let number = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
        self.labels.push(label.clone());
        self.numbers.insert(label, number);
        number
    }

    /// Joins the entries of a bucket. `each` gets every ID with its kind and its end.
    ///
    /// # Errors
    /// [`JoinError::Temporary`], and those of `each`.
    pub(super) fn add(
        &mut self,
        bucket: Bucket,
        each: &mut impl FnMut(&str, Kind, &str) -> Result<(), JoinError>,
    ) -> Result<(), JoinError> {
        let mut requests: HashMap<Box<str>, Request> = HashMap::new();
        bucket
            .read(|id, entry| {
                match requests.get_mut(id) {
                    Some(request) => request.add(entry),
                    None => {
                        let mut request = Request::default();
                        request.add(entry);
                        requests.insert(id.into(), request);
                    }
                }
                Ok(())
            })
            .map_err(JoinError::Temporary)?;
        for (id, request) in &requests {
            let (kind, end) = (request.kind(), request.end());
            count(self.kinds.entry(kind).or_default());
            count(self.ends.entry(end).or_default());
            each(id, kind, &self.label_text(end))?;
        }
        Ok(())
    }

    fn label_text(&self, number: u32) -> String {
        let label = usize::try_from(number)
            .ok()
            .and_then(|index| self.labels.get(index));
        label.map_or_else(String::new, |label| {
            format!("{}: {}", label.place.name(), label.reason)
        })
    }

    /// How many requests are of a kind.
    pub(super) fn count(&self, kind: Kind) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }

    /// All requests: the different IDs.
    pub(super) fn requests(&self) -> u64 {
        self.kinds
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Where requests ended: place, reason, how many; the most in a place first.
    pub(super) fn ends(&self) -> Vec<(Place, &str, u64)> {
        let mut ends: BTreeMap<(Place, &str), u64> = BTreeMap::new();
        for (label, count) in self.counted() {
            let sum = ends.entry((label.place, &label.reason)).or_default();
            *sum = sum.saturating_add(count);
        }
        let mut ends: Vec<_> = ends
            .into_iter()
            .map(|((place, reason), count)| (place, reason, count))
            .collect();
        ends.sort_by_key(|(place, _, count)| (*place, std::cmp::Reverse(*count)));
        ends
    }

    /// What shadow mode let pass and would have denied: reason, how many; the most first.
    pub(super) fn shadows(&self) -> Vec<(&str, u64)> {
        let mut shadows: BTreeMap<&str, u64> = BTreeMap::new();
        for (label, count) in self.counted() {
            if let Some(reason) = &label.shadow {
                let sum = shadows.entry(reason).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        let mut shadows: Vec<_> = shadows.into_iter().collect();
        shadows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        shadows
    }

    fn counted(&self) -> impl Iterator<Item = (&Label, u64)> {
        (0..).zip(&self.labels).filter_map(|(number, label)| {
            let count = self.ends.get(&number)?;
            Some((label, *count))
        })
    }

    /// Whether every request that the edge forwarded is in the mesh's log once, the mesh has no other, and
    /// no line is broken or without an ID.
    pub(super) fn adds_up(&self) -> bool {
        let whole = |(_, input): &(Side, Input)| input.broken == 0 && input.without_id == 0;
        self.inputs.iter().all(whole)
            && [Kind::Lost, Kind::MeshOnly, Kind::Repeated]
                .into_iter()
                .all(|kind| self.count(kind) == 0)
    }
}

impl Request {
    fn add(&mut self, entry: Entry) {
        match entry.side {
            Side::Edge => {
                self.edge = self.edge.saturating_add(1);
                self.edge_end.get_or_insert((entry.passage, entry.label));
            }
            Side::Mesh => {
                self.mesh = self.mesh.saturating_add(1);
                self.mesh_end.get_or_insert(entry.label);
            }
        }
    }

    fn kind(&self) -> Kind {
        match (self.edge, self.mesh, self.edge_end) {
            (2.., _, _) | (_, 2.., _) => Kind::Repeated,
            (0, _, _) => Kind::MeshOnly,
            (_, 0, Some((Passage::Forwarded, _))) => Kind::Lost,
            (_, 0, _) => Kind::EndedAtEdge,
            _ => Kind::Joined,
        }
    }

    /// What the client got decides: the edge's own answer, though the mesh has a line; else the mesh's.
    fn end(&self) -> u32 {
        match (self.edge_end, self.mesh_end) {
            (Some((Passage::Ended, label)), _) | (_, Some(label)) | (Some((_, label)), None) => {
                label
            }
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

    fn event(id: &str, passage: Passage, place: Place, reason: &str) -> Event {
        Event {
            id: id.to_owned(),
            passage,
            place,
            reason: reason.to_owned(),
            shadow: None,
        }
    }

    fn join(events: &[(Side, Event)]) -> (Join, Vec<(String, Kind)>) {
        let folder = std::env::temp_dir();
        let (mut join, mut spill) = (Join::default(), Spill::new(&folder));
        for (side, event) in events {
            let entry = join.entry(*side, event);
            spill.push(&event.id, entry).unwrap();
        }
        let mut all = Vec::new();
        for bucket in spill.finish().unwrap() {
            let mut each = |id: &str, kind, _: &str| {
                all.push((id.to_owned(), kind));
                Ok(())
            };
            join.add(bucket, &mut each).unwrap();
        }
        all.sort();
        (join, all)
    }

    #[test]
    fn each_request_has_one_kind_and_one_end() {
        use {Passage as P, Place as L, Side as S};
        let (join, kinds) = join(&[
            (S::Edge, event("a", P::Forwarded, L::Between, "lost")),
            (S::Mesh, event("a", P::Forwarded, L::Filter, "role")),
            (S::Edge, event("b", P::Ended, L::Edge, "redirected")),
            (S::Edge, event("c", P::Forwarded, L::Between, "lost")),
            (S::Mesh, event("d", P::Forwarded, L::Answered, "2xx")),
            (S::Edge, event("e", P::Forwarded, L::Between, "lost")),
            (S::Mesh, event("e", P::Forwarded, L::Answered, "2xx")),
            (S::Mesh, event("e", P::Forwarded, L::Answered, "4xx")),
            (S::Edge, event("f", P::Ended, L::Edge, "failed")),
            (S::Mesh, event("f", P::Forwarded, L::Answered, "2xx")),
            (S::Edge, event("g", P::Unknown, L::Edge, "status 200")),
            (S::Mesh, event("g", P::Forwarded, L::Answered, "2xx")),
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
                (L::Answered, "2xx", 3),
                (L::Edge, "failed", 1),
                (L::Edge, "redirected", 1),
                (L::Between, "lost", 1),
                (L::Filter, "role", 1),
            ]
        );
        assert!(!join.adds_up());
    }

    #[test]
    fn reasons_without_end_become_other() {
        let mut join = Join::default();
        let mut number = |reason: usize| {
            let event = event("x", Passage::Ended, Place::Envoy, &reason.to_string());
            join.entry(Side::Mesh, &event).label
        };
        let first = number(0);
        for reason in 1..MAX_LABELS {
            number(reason);
        }
        let other = number(MAX_LABELS);
        assert_eq!(number(MAX_LABELS + 1), other);
        assert_eq!(number(0), first);
        assert_eq!(join.labels.len(), MAX_LABELS + 1);
    }

    #[test]
    fn logs_add_up_only_without_holes() {
        use {Passage as P, Place as L, Side as S};
        let pair = [
            (S::Edge, event("a", P::Forwarded, L::Between, "lost")),
            (S::Mesh, event("a", P::Forwarded, L::Answered, "2xx")),
            (S::Edge, event("b", P::Ended, L::Edge, "redirected")),
        ];
        let (mut whole, _) = join(&pair);
        assert!(whole.adds_up());
        let mut input = Input::default();
        input.note_broken(3, Broken::NotJson);
        whole.inputs.push((S::Mesh, input));
        assert!(!whole.adds_up());
    }
}
