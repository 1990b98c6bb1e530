//! Paths that backends could interpret differently.

use super::*;

const LENIENT: PathRules = PathRules::LENIENT;

fn lenient(routes: &[&str]) -> RouteTable {
    let routes = routes.iter().map(|text| route(text)).collect();
    RouteTable::build(routes, LENIENT).unwrap()
}

/// The same request with its normalized path.
fn sent_upstream(table: &RouteTable, raw: &str) -> Option<String> {
    let host = Authority::parse(b"h").unwrap();
    let path = CanonicalPath::parse(raw.as_bytes()).ok()?;
    table.find(&host, b"GET", &path).ok()??;
    let sent = path.normalized().unwrap_or(raw.as_bytes());
    Some(String::from_utf8(sent.to_vec()).unwrap())
}

#[test]
fn every_ambiguity_class_is_rejected_by_default() {
    let table = table(&["r: * * /{*rest}"]);
    for (path, class) in [
        ("/a/../b", "dot_segments"),
        ("/a//b", "empty_segments"),
        ("/a%2fb", "encoded_slash"),
        ("/a%2541", "double_encoding"),
        ("/a;b", "semicolon"),
        ("/a\\b", "backslash"),
        ("/a%3fb", "encoded_query"),
        ("/a%23", "encoded_query"),
    ] {
        assert_eq!(decide(&table, &format!("GET h {path}")), class);
    }
}

#[test]
fn the_rules_of_the_matching_route_apply() {
    let keep = Route {
        rules: PathRuleOverrides {
            encoded_slash: Some(Retain::Keep),
            ..PathRuleOverrides::default()
        },
        ..route("files: * * /files/{name}")
    };
    let table = RouteTable::build(
        vec![keep, route("other: * * /other/{name}")],
        PathRules::default(),
    )
    .unwrap();
    assert_eq!(decide(&table, "GET h /files/a%2Fb"), "files");
    assert_eq!(
        sent_upstream(&table, "/files/a%2Fb").as_deref(),
        Some("/files/a%2Fb")
    );
    assert_eq!(decide(&table, "GET h /other/a%2Fb"), "encoded_slash");
    assert_eq!(decide(&table, "GET h /files/a;b"), "semicolon");
    // Without a route the base rules decide.
    assert_eq!(decide(&table, "GET h /none/a%2Fb"), "encoded_slash");
    assert_eq!(decide(&lenient(&["r: * * /x"]), "GET h /none/a%2Fb"), "-");
}

#[test]
fn a_route_can_be_stricter_than_the_base() {
    let strict = Route {
        rules: PathRuleOverrides {
            dot_segments: Some(Resolve::Reject),
            ..PathRuleOverrides::default()
        },
        ..route("strict: * * /strict/{*rest}")
    };
    let table = RouteTable::build(vec![strict, route("r: * * /r/{*rest}")], LENIENT).unwrap();
    assert_eq!(decide(&table, "GET h /r/../strict/a"), "dot_segments");
    assert_eq!(decide(&table, "GET h /strict/../r/a"), "r");
}

#[test]
fn the_normalized_path_is_matched_and_forwarded() {
    let table = lenient(&["public: * * /public/{*rest}", "admin: * * /admin/{*rest}"]);
    for raw in [
        "/public/../admin/x",
        "/public/%2e%2e/admin/x",
        "/./admin//x",
        "//admin/x",
        "/public/.%2E/./admin/x?q=/public",
    ] {
        assert_eq!(decide(&table, &format!("GET h {raw}")), "admin", "{raw}");
        let sent = sent_upstream(&table, raw).unwrap();
        assert!(sent == "/admin/x" || sent == "/admin/x?q=/public", "{sent}");
    }
    assert_eq!(decide(&table, "GET h /public/../../admin"), "AboveRoot");
}

#[test]
fn no_encoding_of_a_protected_path_matches_another_route() {
    let table = lenient(&[
        "public: * * /public/{*rest}",
        "admin: * * /admin/{*rest}",
        "all: * * /{*rest}",
    ]);
    for raw in [
        "/public/..%2fadmin",
        "/public%2f..%2fadmin",
        "/public/..%5cadmin",
        "/public\\..\\admin",
        "/public/..;/admin",
        "/public/..;x=y/admin",
        "/public/%252e%252e/admin",
        "/public/..%252fadmin",
        "/public/%2e%2e%2fadmin",
        "/public/..%255cadmin",
        "/admin;x/y",
        "/admin;/y",
        "/admin%3bx/y",
        "/admin%2fy",
        "/admin\\y",
        "/admin%5Cy",
        "/%2561dmin/y",
        "/admin%252fy",
        "/admin%253bx/y",
        "/;/admin/y",
        "/;x/admin",
        "/%2fadmin",
        "/\\admin",
        "/%2561dmin;x%252fy",
        "/;x%2fadmin",
        "/%253b/admin",
    ] {
        let found = decide(&table, &format!("GET h {raw}"));
        let class = Ambiguity::ALL.iter().any(|class| class.code() == found);
        assert!(class || found == "admin", "{raw}: {found}");
    }
    // A character is kept if no interpretation changes the decision.
    for raw in [
        "/public/a%2Fb",
        "/public/a;b",
        "/public/a\\b",
        "/public/a%2541",
        "/x%2Fy",
        "/x;admin",
    ] {
        let found = decide(&table, &format!("GET h {raw}"));
        assert!(found == "public" || found == "all", "{raw}: {found}");
        assert_eq!(sent_upstream(&table, raw).as_deref(), Some(raw));
    }
}

#[test]
fn an_interpretation_that_changes_a_bound_variable_is_rejected() {
    let conditions = Conditions {
        bind: vec![Binding {
            variable: "tenant".into(),
            claim: "tenant_id".into(),
        }],
        ..Conditions::default()
    };
    let bound = Route {
        access: Access::new(vec![Alternative::Conditions(Box::new(conditions))]).unwrap(),
        ..route("r: * * /t/{tenant}/{*rest}")
    };
    let table = RouteTable::build(vec![bound], LENIENT).unwrap();
    assert_eq!(decide(&table, "GET h /t/a%2Fb/c"), "encoded_slash");
    assert_eq!(decide(&table, "GET h /t/a;x/c"), "semicolon");
    assert_eq!(decide(&table, "GET h /t/%2561/c"), "double_encoding");
    assert_eq!(decide(&table, "GET h /t/a/b%2Fc;d"), "r");
    let free = lenient(&["r: * * /t/{tenant}/{*rest}"]);
    assert_eq!(decide(&free, "GET h /t/a%2Fb/c"), "r");
}

#[test]
fn an_interpretation_may_have_another_trailing_slash() {
    let rules = PathRules {
        trailing_slash: TrailingSlash::Distinct,
        ..LENIENT
    };
    let routes = ["files: * * /f/{name}", "admin: * * /f/admin"];
    let routes = routes.iter().map(|text| route(text)).collect();
    let table = RouteTable::build(routes, rules).unwrap();
    for (path, class) in [
        ("/f/admin%2F", "encoded_slash"),
        ("/f/admin\\", "backslash"),
        ("/f/admin%252F", "double_encoding"),
        ("/f/admin%3F", "encoded_query"),
        ("/f/admin%3F/", "encoded_query"),
        ("/f/a%2Fb", "files"),
        ("/f/a;b", "files"),
    ] {
        assert_eq!(decide(&table, &format!("GET h {path}")), class, "{path}");
    }
    let routes = vec![route("page: * * /{name}")];
    let table = RouteTable::build(routes, rules).unwrap();
    assert_eq!(decide(&table, "GET h /a;b"), "page");
}

#[test]
fn a_path_that_would_end_at_an_encoded_query_is_not_matched_by_another_route() {
    let table = lenient(&["files: * * /files/{name}", "admin: * * /files/admin"]);
    for path in ["/files/admin%3Fx", "/files/admin%23x", "/files/admin%3F/x"] {
        assert_eq!(decide(&table, &format!("GET h {path}")), "encoded_query");
    }
    assert_eq!(
        decide(&table, "GET h /files/admin%253Fx"),
        "double_encoding"
    );
    assert_eq!(decide(&table, "GET h /files/who%3F"), "files");
}

#[test]
fn an_interpretation_that_matches_a_route_is_rejected_without_a_route() {
    let table = lenient(&["admin: * * /admin/{x}"]);
    assert_eq!(decide(&table, "GET h /admin%2Fx"), "encoded_slash");
    assert_eq!(decide(&table, "GET h /admin%2Fx/y"), "-");
}

#[test]
fn matching_a_long_path_takes_linear_time() {
    let table = lenient(&[
        "r: * * /a/{*rest}",
        "s: * * /a/{x}/a/{y}/{*z}",
        "t: * * /{x}/a/a/a/b",
    ]);
    for segment in ["/a", "/%41", "/a;b", "/a%2fb", "/a%252fb", "/./a", "//a"] {
        let path = format!("/a{}", segment.repeat(1_000));
        let found = decide(&table, &format!("GET h {path}"));
        let class = Ambiguity::ALL.iter().any(|class| class.code() == found);
        assert!(class || found == "s" || found == "r", "{segment}: {found}");
    }
}
