//! What is refused at load, and who is named.

use super::*;

fn problems(routes: Vec<Route>) -> Vec<String> {
    match RouteTable::build(routes, PathRules::default()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn one_problem(routes: &[&str], words: &[&str]) {
    let found = problems(routes.iter().map(|text| route(text)).collect());
    assert_eq!(found.len(), 1, "{found:?}");
    for word in words {
        assert!(found[0].contains(word), "{found:?} lacks {word:?}");
    }
}

#[test]
fn two_routes_that_tie_are_both_named() {
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
        one_problem(
            &[a, b],
            &["routes[0] (a)", "routes[1] (b)", "tie", "remove it"],
        );
    }
}

#[test]
fn routes_that_share_a_part_do_not_tie() {
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
fn a_pair_is_reported_once() {
    one_problem(
        &["a: GET,PUT h.com,i.com /x", "b: GET,PUT h.com,i.com /x"],
        &["tie"],
    );
}

#[test]
fn a_slash_that_tells_two_routes_apart_tells_them_only_if_both_ask_for_it() {
    let distinct = |text: &str| Route {
        rules: PathRuleOverrides {
            trailing_slash: Some(TrailingSlash::Distinct),
            ..PathRuleOverrides::default()
        },
        ..route(text)
    };
    assert!(problems(vec![distinct("a: * * /x"), distinct("b: * * /x/")]).is_empty());
    assert_eq!(
        problems(vec![route("a: * * /x"), distinct("b: * * /x/")]).len(),
        1
    );
    assert_eq!(
        problems(vec![distinct("a: * * /x"), route("b: * * /x/")]).len(),
        1
    );
}

#[test]
fn a_name_stands_once() {
    one_problem(
        &["a: * * /x", "b: * * /y", "a: * * /z"],
        &["routes[0]", "routes[2]", "\"a\""],
    );
}

#[test]
fn hosts_and_methods_stand_once_in_a_route() {
    one_problem(&["a: * h.com,H.com. /x"], &["routes[0] (a)", "h.com"]);
    one_problem(&["a: GET,GET * /x"], &["routes[0] (a)", "GET"]);
}

#[test]
fn a_method_that_never_comes_is_refused() {
    one_problem(
        &["a: get * /x"],
        &["routes[0] (a)", "\"get\"", "upper case"],
    );
    one_problem(&["a: CONNECT * /x"], &["routes[0] (a)", "CONNECT"]);
}

#[test]
fn a_bound_variable_must_be_in_the_path() {
    let conditions = Conditions {
        bind: vec![Binding {
            variable: "tenant".into(),
            claim: "tenant_id".into(),
        }],
        ..Conditions::default()
    };
    let access = Access::new(vec![Alternative::Conditions(Box::new(conditions))]).unwrap();
    let bound = |text: &str| Route {
        access: access.clone(),
        ..route(text)
    };
    assert!(problems(vec![bound("a: * * /t/{tenant}")]).is_empty());
    let found = problems(vec![bound("a: * * /t/{tenants}")]);
    assert!(
        found[0].contains("\"tenant\"") && found[0].contains("/t/{tenants}"),
        "{found:?}"
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let over = Route {
        enforce_percent: 101,
        ..route("c: put * /y")
    };
    let found = problems(vec![route("a: * * /x"), route("a: * * /x"), over]);
    assert_eq!(found.len(), 4, "{found:?}");
}
