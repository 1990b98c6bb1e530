//! Compares the table with a simple reference matcher that applies the precedence rule to each route.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use crate::policy::host::HostName;

/// The specificity of a match: greater is more specific. Segments are compared from the left.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    host: (u8, usize),
    /// 3 literal, 2 variable, 1 tail; a pattern that ends without a tail is more specific.
    path: Vec<u8>,
    method_named: bool,
}

/// The specificity of a route's match; `None` if it does not match.
fn rank(
    routes: &[Route],
    route: &Route,
    method: &str,
    host: &str,
    segments: &[&str],
) -> Option<Rank> {
    let host = if route.hosts.is_empty() {
        (0, 0)
    } else {
        route
            .hosts
            .iter()
            .filter_map(|pattern| match &pattern.name {
                HostName::Exact(exact) => (host == &**exact).then_some((2, 0)),
                HostName::Below(suffix) => host
                    .strip_suffix(&**suffix)
                    .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
                    .then_some((1, suffix.len())),
            })
            .max()?
    };
    let head_is_named = || {
        routes.iter().any(|other| {
            other.methods.iter().any(|method| method.as_str() == "HEAD")
                && same_path(&other.path, &route.path)
        })
    };
    let named = |method: &str| route.methods.iter().any(|known| known.as_str() == method);
    let method_named = match method {
        _ if route.methods.is_empty() => false,
        _ if named(method) => true,
        "HEAD" if named("GET") && !head_is_named() => true,
        _ => return None,
    };
    let mut path = Vec::new();
    let mut rest = segments;
    for segment in route.path.segments() {
        match segment {
            Segment::Tail(_) => {
                path.push(1);
                rest = &[];
            }
            Segment::Variable(_) => {
                rest = rest.split_first()?.1;
                path.push(2);
            }
            Segment::Literal(text) => {
                let (first, after) = rest.split_first()?;
                if **text != **first {
                    return None;
                }
                rest = after;
                path.push(3);
            }
        }
    }
    if !rest.is_empty() {
        return None;
    }
    if path.last() != Some(&1) {
        // The end is more specific than an empty tail.
        path.push(2);
    }
    Some(Rank {
        host,
        path,
        method_named,
    })
}

fn same_path(a: &PathPattern, b: &PathPattern) -> bool {
    a.segments().len() == b.segments().len()
        && a.segments()
            .iter()
            .zip(b.segments())
            .all(|pair| match pair {
                (Segment::Literal(a), Segment::Literal(b)) => a == b,
                (Segment::Variable(_), Segment::Variable(_))
                | (Segment::Tail(_), Segment::Tail(_)) => true,
                _ => false,
            })
}

const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "PURGE"];
const HOSTS: [&str; 5] = ["a.com", "b.a.com", "c.b.a.com", "d.com", "[::1]"];
const PATHS: [&str; 12] = [
    "/", "/a", "/b", "/a/", "/a/a", "/a/b", "/b/a", "/c/c", "/a/b/a", "/a/b/c", "/c/b/a/",
    "/a/a/a/a",
];

fn any_route() -> impl Strategy<Value = String> {
    let methods = prop::sample::select(vec![
        "*", "*", "GET", "HEAD", "POST", "GET,HEAD", "GET,POST",
    ]);
    let hosts = prop::sample::select(vec![
        "*",
        "*",
        "a.com",
        "b.a.com",
        "*.a.com",
        "*.b.a.com",
        "*.com",
        "a.com,*.a.com",
        "[::1]",
    ]);
    let segment = prop::sample::select(vec!["a", "a", "b", "{}", "{}"]);
    let tail = prop::sample::select(vec!["", "", "/", "/{*rest}"]);
    (methods, hosts, prop::collection::vec(segment, 0..4), tail).prop_map(
        |(methods, hosts, segments, tail)| {
            let mut path: String = segments
                .iter()
                .enumerate()
                .map(|(index, segment)| {
                    format!("/{}", segment.replace("{}", &format!("{{v{index}}}")))
                })
                .collect();
            path.push_str(tail);
            let path = if path.is_empty() { "/" } else { &path };
            format!("{methods} {hosts} {path}")
        },
    )
}

/// Routes that match none of the requests but add many hosts, suffixes, methods and literal segments.
fn fillers() -> impl Iterator<Item = String> {
    (0..12).flat_map(|number| {
        [
            format!("M{number} f{number}.com /GET"),
            format!("* *.f{number}.com /M{number}"),
            format!("* * /x{number}"),
            format!("* a.com /a/x{number}"),
            format!("* *.a.com /{{v}}/x{number}"),
            format!("* *.com /x{number}/a"),
        ]
    })
}

fn check(texts: &[String]) -> Result<(), TestCaseError> {
    let mut routes: Vec<Route> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| route(&format!("r{index}: {text}")))
        .collect();
    // Ties are rejected; the remaining routes must load.
    let table = loop {
        match RouteTable::build(routes.clone(), PathRules::default()) {
            Ok(table) => break table,
            Err(problems) => {
                let TableError::Tie { first, second, .. } = &problems[0] else {
                    panic!("{problems:?}");
                };
                prop_assert_ne!(first.id, second.id);
                routes.remove(second.id.0 as usize);
            }
        }
    };
    for method in METHODS {
        for host in HOSTS {
            for path in PATHS {
                let segments: Vec<&str> = path
                    .split('/')
                    .filter(|segment| !segment.is_empty())
                    .collect();
                let mut best: Option<(Rank, &Route)> = None;
                for route in &routes {
                    let Some(rank) = rank(&routes, route, method, host, &segments) else {
                        continue;
                    };
                    match best.as_ref().map(|(best, _)| rank.cmp(best)) {
                        None | Some(Ordering::Greater) => best = Some((rank, route)),
                        Some(Ordering::Less) => {}
                        Some(Ordering::Equal) => {
                            prop_assert!(false, "{} ties and was loaded", route.name);
                        }
                    }
                }
                let expected = best.map_or("-", |(_, route)| &*route.name);
                let request = format!("{method} {host} {path}");
                let found = decide(&table, &request);
                prop_assert_eq!(found.as_str(), expected, "{}", request);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn the_table_agrees_with_the_reference_matcher(texts in prop::collection::vec(any_route(), 1..10)) {
        check(&texts)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn a_large_table_agrees_with_the_reference_matcher(
        mut texts in prop::collection::vec(any_route(), 1..20),
    ) {
        texts.extend(fillers());
        check(&texts)?;
    }
}
