use std::hash::RandomState;

use super::super::record::Broken;
use super::*;

fn half(hasher: &RandomState) -> Half {
    Half {
        counts: vec![Counts::default()],
        outcomes: Outcomes::default(),
        spill: Spill::new(&std::env::temp_dir(), hasher.clone()),
    }
}

type Line<'a> = (&'a str, Log, Passed, Place, &'a str);

/// Joins the lines; those of the mesh say that it tried twice if the reason is `retried`.
fn join(logs: &[Log], lines: &[Line<'_>]) -> (Join, Vec<(String, Kind, Vec<Log>)>) {
    let hasher = RandomState::new();
    let mut halves: Vec<(Log, Half)> = logs.iter().map(|log| (*log, half(&hasher))).collect();
    for (id, log, passed, place, reason) in lines {
        let (_, half) = halves.iter_mut().find(|(of, _)| of == log).unwrap();
        let outcome = half.outcomes.index(Outcome {
            passed: *passed,
            place: *place,
            reason: (*reason).into(),
            shadow: None,
            step: reason.starts_with("login"),
        });
        let times = Times {
            attempts: (*reason == "retried").then_some(2),
            ..Times::default()
        };
        half.spill.push(id, &Entry { outcome, times }).unwrap();
    }
    let mut all = Vec::new();
    let join = Join::new(halves, Resolution::EXACT, |request| {
        all.push((
            request.id.to_owned(),
            request.kind,
            request.missing.to_vec(),
        ));
        Ok(())
    });
    all.sort();
    (join.unwrap(), all)
}

#[test]
fn each_request_has_one_kind_and_one_end() {
    use {Log as L, Passed as H, Place as P};
    let (join, kinds) = join(
        &[L::Edge, L::Mesh],
        &[
            ("a", L::Edge, H::On, P::Between, "lost"),
            ("a", L::Mesh, H::Not, P::Filter, "role"),
            ("b", L::Edge, H::Not, P::Edge, "redirected"),
            ("c", L::Edge, H::On, P::Between, "lost"),
            ("d", L::Mesh, H::On, P::Answered, "2xx"),
            ("e", L::Edge, H::On, P::Between, "lost"),
            ("e", L::Mesh, H::On, P::Answered, "4xx"),
            ("e", L::Mesh, H::On, P::Answered, "2xx"),
            ("f", L::Edge, H::Not, P::Edge, "failed"),
            ("f", L::Mesh, H::On, P::Answered, "2xx"),
            ("g", L::Edge, H::Unknown, P::Edge, "status 200"),
            ("g", L::Mesh, H::On, P::Answered, "2xx"),
        ],
    );
    let kind = |id: &str| kinds.iter().find(|(found, ..)| found == id).unwrap().1;
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
fn a_hop_that_lacks_a_request_is_named() {
    use {Log as L, Passed as H, Place as P};
    let edge = |id| (id, L::Edge, H::On, P::Between, "lost");
    let haproxy = |id| (id, L::Haproxy, H::On, P::Between, "lost by haproxy");
    let mesh = |id| (id, L::Mesh, H::On, P::Answered, "2xx");
    let app = |id| (id, L::App, H::Not, P::Answered, "2xx");
    let (join, kinds) = join(
        &L::ALL,
        &[
            edge("a"),
            haproxy("a"),
            mesh("a"),
            app("a"),
            edge("b"),
            edge("c"),
            haproxy("c"),
            edge("d"),
            haproxy("d"),
            mesh("d"),
            edge("e"),
            mesh("e"),
            app("e"),
            haproxy("f"),
            mesh("f"),
            app("f"),
            app("g"),
            edge("h"),
            ("h", L::Haproxy, H::Not, P::Haproxy, "requests"),
            edge("i"),
            haproxy("i"),
            ("i", L::Mesh, H::Unknown, P::Upstream, "status 503"),
            edge("j"),
            haproxy("j"),
            mesh("j"),
            ("j", L::App, H::Not, P::App, "denied/scope"),
            ("k", L::Edge, H::Not, P::Edge, "redirected"),
            edge("l"),
            haproxy("l"),
            ("l", L::Mesh, H::On, P::Answered, "retried"),
            app("l"),
            app("l"),
            edge("m"),
            haproxy("m"),
            mesh("m"),
            app("m"),
            app("m"),
        ],
    );
    let expected: Vec<(&str, Kind, &[Log])> = vec![
        ("a", Kind::Joined, &[]),
        ("b", Kind::Lost, &[L::Haproxy]),
        ("c", Kind::Lost, &[L::Mesh]),
        ("d", Kind::Lost, &[L::App]),
        ("e", Kind::Lost, &[L::Haproxy]),
        ("f", Kind::MeshOnly, &[L::Edge]),
        ("g", Kind::MeshOnly, &[L::Edge, L::Haproxy, L::Mesh]),
        ("h", Kind::Joined, &[]),
        ("i", Kind::Joined, &[]),
        ("j", Kind::Joined, &[]),
        ("k", Kind::EndedAtEdge, &[]),
        ("l", Kind::Joined, &[]),
        ("m", Kind::Repeated, &[]),
    ];
    let expected = expected.into_iter();
    let expected: Vec<_> = expected
        .map(|(id, kind, missing)| (id.to_owned(), kind, missing.to_vec()))
        .collect();
    assert_eq!(kinds, expected);
    assert_eq!(L::ALL.map(|log| join.missing(log)), [2, 3, 2, 1]);
    assert_eq!(
        join.ends(),
        [
            (P::Answered, "2xx", 6),
            (P::Answered, "retried", 1),
            (P::Edge, "redirected", 1),
            (P::Haproxy, "requests", 1),
            (P::Between, "lost", 1),
            (P::Between, "lost by haproxy", 1),
            (P::App, "denied/scope", 1),
            (P::Upstream, "status 503", 1),
        ]
    );
}

#[test]
fn the_steps_of_a_login_are_no_requests_of_their_own() {
    use {Log as L, Passed as H, Place as P};
    let start = |id| (id, L::Edge, H::Not, P::Edge, "login redirected");
    let back = |id| (id, L::Edge, H::Not, P::Edge, "login done");
    let first = |id| (id, L::Edge, H::On, P::Between, "lost");
    let mesh = |id| (id, L::Mesh, H::On, P::Answered, "2xx");
    let (join, kinds) = join(
        &[L::Edge, L::Mesh],
        &[
            start("a"),
            back("a"),
            first("a"),
            mesh("a"),
            start("b"),
            back("b"),
            start("c"),
            start("d"),
            first("d"),
            first("d"),
            mesh("d"),
            // In two logs of the edge, in any order.
            first("e"),
            start("e"),
            mesh("e"),
        ],
    );
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(id, kind, _)| (id.as_str(), *kind))
        .collect();
    let ended = Kind::EndedAtEdge;
    assert_eq!(
        kinds,
        [
            ("a", Kind::Joined),
            ("b", ended),
            ("c", ended),
            ("d", Kind::Repeated),
            ("e", Kind::Joined),
        ]
    );
    assert_eq!(
        join.ends(),
        [
            (P::Answered, "2xx", 3),
            (P::Edge, "login done", 1),
            (P::Edge, "login redirected", 1),
        ]
    );
}

#[test]
fn logs_add_up_only_without_broken_lines() {
    use {Log as L, Passed as H, Place as P};
    let pair = [
        ("a", L::Edge, H::On, P::Between, "lost"),
        ("a", L::Mesh, H::On, P::Answered, "2xx"),
        ("b", L::Edge, H::Not, P::Edge, "redirected"),
    ];
    let (mut join, _) = join(&[L::Edge, L::Mesh], &pair);
    assert!(join.adds_up());
    let broken = Counts {
        broken: 1,
        first_broken: vec![(3, Broken::NotJson)],
        ..Counts::default()
    };
    join.counts.push(broken);
    assert!(!join.adds_up());
}
