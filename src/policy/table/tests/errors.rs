//! Routes that are rejected.

use super::*;

fn errors(routes: Vec<Route>) -> Vec<String> {
    match RouteTable::build(routes, PathRules::default()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn one_error(routes: &[&str], words: &[&str]) {
    let found = errors(routes.iter().map(|text| route(text)).collect());
    assert_eq!(found.len(), 1, "{found:?}");
    for word in words {
        assert!(found[0].contains(word), "{found:?} lacks {word:?}");
    }
}

#[test]
fn a_tie_names_both_routes() {
    for (a, b) in [
        ("a: * * /x", "b: * * /x"),
        ("a: * * /x", "b: * * /x/"),
        ("a: * * /x", "b: * * /%78"),
        ("a: * * /{x}/y", "b: * * /{z}/y"),
        ("a: * * /x/{*x}", "b: * * /x/{*y}"),
        ("a: GET * /x", "b: POST,GET * /x"),
        ("a: HEAD * /x", "b: HEAD,GET * /x"),
        ("a: * h.com,i.com /x", "b: * j.com,I.com. /x"),
        ("a: * *.h.com /x", "b: * *.H.com /x"),
    ] {
        one_error(
            &[a, b],
            &["routes[0] (a)", "routes[1] (b)", "neither", "remove it"],
        );
    }
}

#[test]
fn routes_that_share_a_part_are_not_a_tie() {
    table(&[
        "a: GET * /x",
        "b: POST * /x",
        "c: * * /x",
        "d: * h.com /x",
        "e: * *.com /x",
        "f: * * /{x}",
        "g: * * /{*x}",
        "h: HEAD * /x",
    ]);
}

#[test]
fn a_tie_of_two_routes_is_reported_once() {
    one_error(
        &["a: GET,PUT h.com,i.com /x", "b: GET,PUT h.com,i.com /x"],
        &["neither"],
    );
}

#[test]
fn a_trailing_slash_distinguishes_two_routes_only_if_both_are_distinct() {
    let distinct = |text: &str| Route {
        rules: PathRuleOverrides {
            trailing_slash: Some(TrailingSlash::Distinct),
            ..PathRuleOverrides::default()
        },
        ..route(text)
    };
    assert!(errors(vec![distinct("a: * * /x"), distinct("b: * * /x/")]).is_empty());
    assert_eq!(
        errors(vec![route("a: * * /x"), distinct("b: * * /x/")]).len(),
        1
    );
    assert_eq!(
        errors(vec![distinct("a: * * /x"), route("b: * * /x/")]).len(),
        1
    );
}

#[test]
fn names_are_unique() {
    one_error(
        &["a: * * /x", "b: * * /y", "a: * * /z"],
        &["routes[0]", "routes[2]", "\"a\""],
    );
}

#[test]
fn all_errors_are_reported_at_once() {
    let found = errors(vec![
        route("a: * * /x"),
        route("a: * * /x"),
        route("c: * * /x"),
    ]);
    assert_eq!(found.len(), 3, "{found:?}");
}
