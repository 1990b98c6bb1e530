//! One test for each sentence of the precedence rule.

use super::*;

#[track_caller]
fn check(routes: &[&str], requests: &[(&str, &str)]) {
    for reversed in [false, true] {
        let mut routes = routes.to_vec();
        if reversed {
            routes.reverse();
        }
        let table = table(&routes);
        for (request, expected) in requests {
            assert_eq!(decide(&table, request), *expected, "{request}");
        }
    }
}

#[test]
fn host_path_and_method_must_all_match() {
    check(
        &["r: POST a.com /x"],
        &[
            ("POST a.com /x", "r"),
            ("GET a.com /x", "-"),
            ("POST b.com /x", "-"),
            ("POST a.com /y", "-"),
            ("POST a.com /x/y", "-"),
            ("POST a.com /", "-"),
            ("post a.com /x", "-"),
        ],
    );
}

#[test]
fn exact_hosts_outrank_wildcards_which_outrank_any_host() {
    check(
        &["exact: * s.a.com /x", "wild: * *.a.com /x", "any: * * /x"],
        &[
            ("GET s.a.com /x", "exact"),
            ("GET S.A.com.:8443 /x", "exact"),
            ("GET t.a.com /x", "wild"),
            ("GET a.com /x", "any"),
            ("GET [::1] /x", "any"),
        ],
    );
}

#[test]
fn the_longest_wildcard_outranks_a_shorter_one() {
    check(
        &[
            "long: * *.b.a.com /x",
            "short: * *.a.com /x",
            "top: * *.com /x",
        ],
        &[
            ("GET c.b.a.com /x", "long"),
            ("GET d.c.b.a.com /x", "long"),
            ("GET b.a.com /x", "short"),
            ("GET x.com /x", "top"),
        ],
    );
}

#[test]
fn the_host_outranks_the_path() {
    check(
        &["exact: * a.com /{*rest}", "any: * * /x"],
        &[("GET a.com /x", "exact"), ("GET b.com /x", "any")],
    );
}

#[test]
fn a_less_specific_host_matches_if_a_more_specific_one_has_no_route() {
    check(
        &[
            "exact: POST s.a.com /x",
            "wild: * *.a.com /y",
            "any: * * /{*rest}",
        ],
        &[
            ("POST s.a.com /x", "exact"),
            ("GET s.a.com /x", "any"),
            ("GET s.a.com /y", "wild"),
            ("GET s.a.com /z", "any"),
        ],
    );
}

#[test]
fn literals_outrank_variables_which_outrank_tails() {
    check(
        &[
            "literal: * * /a/b",
            "variable: * * /a/{x}",
            "tail: * * /a/{*x}",
        ],
        &[
            ("GET h /a/b", "literal"),
            ("GET h /a/c", "variable"),
            ("GET h /a/b/c", "tail"),
            ("GET h /a", "tail"),
        ],
    );
}

#[test]
fn segments_are_compared_from_the_left() {
    check(
        &["left: * * /a/{y}", "right: * * /{x}/b"],
        &[
            ("GET h /a/b", "left"),
            ("GET h /c/b", "right"),
            ("GET h /c/d", "-"),
        ],
    );
    check(
        &["literal: * * /a/{*rest}", "variable: * * /{x}/b/c"],
        &[("GET h /a/b/c", "literal"), ("GET h /d/b/c", "variable")],
    );
}

#[test]
fn matching_backtracks_from_a_more_specific_prefix() {
    check(
        &[
            "deep: * * /a/b/c",
            "middle: * * /a/{x}/d",
            "outer: * * /{x}/b/{*rest}",
        ],
        &[
            ("GET h /a/b/c", "deep"),
            ("GET h /a/b/d", "middle"),
            ("GET h /a/b/e", "outer"),
            ("GET h /a/b", "outer"),
            ("GET h /a/c/e", "-"),
        ],
    );
}

#[test]
fn the_end_of_a_pattern_outranks_an_empty_tail() {
    check(
        &["end: * * /admin", "tail: * * /admin/{*rest}"],
        &[("GET h /admin", "end"), ("GET h /admin/x", "tail")],
    );
}

#[test]
fn a_named_method_outranks_any_method_for_the_same_path() {
    check(
        &["named: GET * /x", "any: * * /x"],
        &[
            ("GET h /x", "named"),
            ("HEAD h /x", "named"),
            ("POST h /x", "any"),
            ("PURGE h /x", "any"),
        ],
    );
}

#[test]
fn the_path_outranks_the_method() {
    check(
        &["named: GET * /{x}", "any: * * /x"],
        &[("GET h /x", "any"), ("GET h /y", "named")],
    );
}

#[test]
fn a_less_specific_path_matches_if_the_method_differs() {
    check(
        &["post: POST * /x", "get: GET * /{x}", "any: * * /{*x}"],
        &[
            ("POST h /x", "post"),
            ("GET h /x", "get"),
            ("PUT h /x", "any"),
        ],
    );
}

#[test]
fn get_includes_head() {
    check(
        &["get: GET * /x"],
        &[("HEAD h /x", "get"), ("OPTIONS h /x", "-")],
    );
}

#[test]
fn get_does_not_include_head_if_a_route_names_head_for_the_path() {
    check(
        &[
            "get: GET * /a/{x}",
            "head: HEAD a.com /a/{y}",
            "other: GET * /b",
        ],
        &[
            ("HEAD a.com /a/1", "head"),
            ("GET a.com /a/1", "get"),
            // It is sufficient that a route for another host names HEAD.
            ("HEAD b.com /a/1", "-"),
            ("HEAD b.com /b", "other"),
        ],
    );
    check(&["both: GET,HEAD * /x"], &[("HEAD h /x", "both")]);
}

#[test]
fn a_tail_matches_only_at_segment_boundaries() {
    check(
        &["r: * * /admin/{*rest}"],
        &[
            ("GET h /admin/x", "r"),
            ("GET h /admin", "r"),
            ("GET h /admin/", "r"),
            ("GET h /admin?x", "r"),
            ("GET h /adminx", "-"),
            ("GET h /administrator/x", "-"),
            ("GET h /Admin", "-"),
        ],
    );
}

#[test]
fn a_variable_matches_one_segment_that_is_not_empty() {
    check(
        &["r: * * /a/{x}/c"],
        &[
            ("GET h /a/b/c", "r"),
            ("GET h /a/b/b/c", "-"),
            ("GET h /a/c", "-"),
            ("GET h /a//c", "empty_segments"),
        ],
    );
}

#[test]
fn a_tail_at_the_root_matches_every_path() {
    check(
        &["r: * * /{*rest}"],
        &[("GET h /", "r"), ("GET h /a", "r"), ("GET h /a/b/", "r")],
    );
}

#[test]
fn the_root_is_a_distinct_path() {
    check(
        &["root: * * /", "one: * * /{x}"],
        &[
            ("GET h /", "root"),
            ("GET h /?q", "root"),
            ("GET h /a", "one"),
        ],
    );
}

#[test]
fn a_trailing_slash_is_ignored_unless_distinct() {
    check(
        &["same: * * /a", "written: * * /b/"],
        &[
            ("GET h /a", "same"),
            ("GET h /a/", "same"),
            ("GET h /b", "written"),
            ("GET h /b/", "written"),
        ],
    );
    let distinct = |text: &str| Route {
        rules: PathRuleOverrides {
            trailing_slash: Some(TrailingSlash::Distinct),
            ..PathRuleOverrides::default()
        },
        ..route(text)
    };
    let routes = vec![
        distinct("without: * * /a"),
        distinct("with: * * /a/"),
        distinct("only: * * /b/"),
        distinct("tail: * * /c/{*rest}"),
        distinct("root: * * /"),
    ];
    let table = RouteTable::build(routes, PathRules::default()).unwrap();
    for (request, expected) in [
        ("GET h /a", "without"),
        ("GET h /a/", "with"),
        ("GET h /b/", "only"),
        ("GET h /b", "-"),
        ("GET h /c", "tail"),
        ("GET h /c/", "tail"),
        ("GET h /c/x/", "tail"),
        ("GET h /", "root"),
    ] {
        assert_eq!(decide(&table, request), expected, "{request}");
    }
}

#[test]
fn literals_are_compared_decoded_and_case_sensitively() {
    check(
        &["r: * * /%41/caf%C3%A9", "dollar: * * /$x"],
        &[
            ("GET h /A/caf%c3%a9", "r"),
            ("GET h /%41/caf\u{e9}", "r"),
            ("GET h /a/caf\u{e9}", "-"),
            ("GET h /%24x", "dollar"),
        ],
    );
}

#[test]
fn variables_have_the_values_of_the_path() {
    let table = table(&["r: * * /t/{tenant}/x/{*rest}"]);
    let get = |path: &str, name: &str| {
        let host = Authority::parse(b"h").unwrap();
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        let found = table.find(&host, b"GET", &path).unwrap().unwrap();
        let route = table.get(found.route).unwrap();
        Variables::of(&route.path, &path)
            .get(name)
            .map(|value| String::from_utf8(value.into_owned()).unwrap())
    };
    assert_eq!(get("/t/a%20%24/x/b/c/?d", "tenant").as_deref(), Some("a $"));
    assert_eq!(get("/t/a%20b/x/%41/c/", "rest").as_deref(), Some("A/c"));
    assert_eq!(get("/t/a/x/b/c", "rest").as_deref(), Some("b/c"));
    assert_eq!(get("/t/a/x", "rest").as_deref(), Some(""));
    assert_eq!(
        get("/t/caf\u{e9}/x", "tenant").as_deref(),
        Some("caf\u{e9}")
    );
    assert_eq!(
        get("/t/caf%C3%A9/x", "tenant").as_deref(),
        Some("caf\u{e9}")
    );
    assert_eq!(get("/t/a/x", "other"), None);
}

#[test]
fn the_nearest_route_ignores_the_method_before_the_host() {
    let table = table(&[
        "post: POST a.com /x",
        "elsewhere: GET b.com /x",
        "far: PUT c.com /y",
    ]);
    let nearest = |request: &str| {
        let parts: Vec<&str> = request.split(' ').collect();
        let host = Authority::parse(parts[1].as_bytes()).unwrap();
        let path = CanonicalPath::parse(parts[2].as_bytes()).unwrap();
        table
            .nearest(&host, parts[0].as_bytes(), &path)
            .map(|near| {
                (
                    table.get(near.id).unwrap().name.clone(),
                    near.host,
                    near.method,
                )
            })
    };
    assert_eq!(nearest("POST a.com /x"), Some(("post".into(), true, true)));
    assert_eq!(nearest("GET a.com /x"), Some(("post".into(), true, false)));
    assert_eq!(
        nearest("GET z.com /x"),
        Some(("elsewhere".into(), false, true))
    );
    assert_eq!(nearest("GET z.com /y"), Some(("far".into(), false, false)));
    assert_eq!(nearest("GET a.com /z"), None);
}
