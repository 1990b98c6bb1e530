use super::*;

fn outcome(source: Source, place: Place, reason: &str) -> Outcome {
    Outcome {
        source,
        place,
        reason: reason.into(),
        shadow: None,
    }
}

fn half(hasher: &RandomState) -> Half {
    Half {
        input: Input::default(),
        outcomes: Outcomes::default(),
        spill: Spill::new(&std::env::temp_dir(), hasher.clone()),
    }
}

fn join(lines: &[(&str, Source, Place, &str)]) -> (Join, Vec<(String, Kind)>) {
    let hasher = RandomState::new();
    let (mut edge, mut mesh) = (half(&hasher), half(&hasher));
    for (id, source, place, reason) in lines {
        let half = match source {
            Source::Mesh => &mut mesh,
            _ => &mut edge,
        };
        let outcome = half.outcomes.index(outcome(*source, *place, reason));
        let times = Times::default();
        half.spill.push(id, &Entry { outcome, times }).unwrap();
    }
    let mut all = Vec::new();
    let join = Join::new(edge, mesh, Resolution::EXACT, |request| {
        all.push((request.id.to_owned(), request.kind));
        Ok(())
    });
    all.sort();
    (join.unwrap(), all)
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
    let mut outcomes = Outcomes::default();
    let mut index =
        |reason: usize| outcomes.index(outcome(Source::Mesh, Place::Envoy, &reason.to_string()));
    let first = index(0);
    for reason in 1..MAX_OUTCOMES {
        index(reason);
    }
    let other = index(MAX_OUTCOMES);
    assert_eq!(index(MAX_OUTCOMES + 1), other);
    assert_eq!(index(0), first);
    assert_eq!(outcomes.list.len(), MAX_OUTCOMES + 1);
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
    join.inputs = [(Log::Edge, Input::default()), (Log::Mesh, input)];
    assert!(!join.adds_up());
}
