use super::*;

fn claims(text: &str) -> Claims {
    Claims::parse(text.as_bytes()).unwrap().unwrap()
}

fn model(format: RoleFormat, includes: &[(&str, &[&str])]) -> RoleModelBuilder {
    let source = RoleSource {
        claim: ClaimPath::from("roles"),
        format,
    };
    let includes: Vec<(String, Vec<String>)> = includes
        .iter()
        .map(|(role, list)| {
            let list = list.iter().map(|name| (*name).to_owned()).collect();
            ((*role).to_owned(), list)
        })
        .collect();
    RoleModelBuilder::new(Some(source), &includes)
}

#[test]
fn roles_are_read_only_in_the_configured_format() {
    for (format, text, expected) in [
        (RoleFormat::List, r#"{"roles":["a","b"]}"#, vec!["a", "b"]),
        (RoleFormat::List, r#"{"roles":"a b,c"}"#, vec!["a b,c"]),
        (RoleFormat::List, r#"{"roles":["a",5]}"#, vec![]),
        (RoleFormat::List, r#"{"roles":["a",null]}"#, vec![]),
        (RoleFormat::List, r#"{"roles":{"a":true}}"#, vec![]),
        (RoleFormat::List, r#"{"roles":5}"#, vec![]),
        (RoleFormat::List, r#"{"roles":""}"#, vec![]),
        (RoleFormat::List, r#"{}"#, vec![]),
        (RoleFormat::Space, r#"{"roles":" a  b "}"#, vec!["a", "b"]),
        (RoleFormat::Space, r#"{"roles":["a"]}"#, vec![]),
        (
            RoleFormat::Comma,
            r#"{"roles":"a, b c,,"}"#,
            vec!["a", "b c"],
        ),
        (RoleFormat::Comma, r#"{"roles":["a"]}"#, vec![]),
    ] {
        let model = model(format, &[]).build().unwrap();
        let claims = claims(text);
        let found: Vec<&str> = model.names_in(&claims).collect();
        assert_eq!(found, expected, "{format:?} {text}");
    }
}

#[cfg(feature = "cli")]
#[test]
fn claims_are_made_only_for_a_role_that_they_can_have() {
    for (format, role, possible) in [
        (RoleFormat::List, "a b,c", true),
        (RoleFormat::Space, "a,b", true),
        (RoleFormat::Space, "a b", false),
        (RoleFormat::Comma, "a b", true),
        (RoleFormat::Comma, "a,b", false),
        (RoleFormat::Comma, " a", false),
    ] {
        let model = model(format, &[]).build().unwrap();
        for roles in [&[role][..], &["x", role]] {
            let claims = model.claims_with(roles);
            assert_eq!(claims.is_some(), possible, "{format:?} {roles:?}");
            if let Some(claims) = claims {
                assert_eq!(model.names_in(&claims).collect::<Vec<_>>(), roles);
            }
        }
    }
    let without_claim = RoleModelBuilder::new(None, &[]).build().unwrap();
    assert_eq!(without_claim.claims_with(&["a"]), None);
}

#[cfg(feature = "cli")]
#[test]
fn the_names_are_in_the_order_of_the_config() {
    let mut builder = model(RoleFormat::List, &[("b", &["d"]), ("a", &[])]);
    for role in ["c", "d", "e"] {
        builder.require(role);
    }
    assert_eq!(builder.build().unwrap().names(), ["b", "d", "a", "c", "e"]);
}

#[test]
fn inclusion_is_transitive_and_not_symmetric() {
    let includes: &[(&str, &[&str])] = &[("admin", &["editor"]), ("editor", &["reader", "lister"])];
    let mut builder = model(RoleFormat::List, includes);
    let required =
        ["admin", "editor", "reader", "lister", "other"].map(|name| builder.require(name));
    let model = builder.build().unwrap();
    let has = |text: &str| {
        let set = model.roles_of(&claims(text));
        required.each_ref().map(|role| set.has(role))
    };
    assert_eq!(
        has(r#"{"roles":["admin"]}"#),
        [true, true, true, true, false]
    );
    assert_eq!(
        has(r#"{"roles":["editor"]}"#),
        [false, true, true, true, false]
    );
    assert_eq!(
        has(r#"{"roles":["reader"]}"#),
        [false, false, true, false, false]
    );
    assert_eq!(has(r#"{"roles":["Admin","nobody"]}"#), [false; 5]);
}

#[test]
fn a_diamond_is_not_a_cycle() {
    let includes: &[(&str, &[&str])] = &[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"])];
    assert!(model(RoleFormat::List, includes).build().is_ok());
}

#[test]
fn a_cycle_is_an_error_that_names_its_roles() {
    let includes: &[(&str, &[&str])] =
        &[("x", &["a"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a"])];
    let error = model(RoleFormat::List, includes).build().unwrap_err();
    assert!(error.to_string().contains("a → b → c → a"), "{error}");
    let error = model(RoleFormat::List, &[("a", &["a"])])
        .build()
        .unwrap_err();
    assert_eq!(error.0, ["a"]);
}

#[test]
fn long_chains_and_many_roles_are_supported() {
    let names: Vec<String> = (0..20_000).map(|index| format!("r{index}")).collect();
    let includes: Vec<(String, Vec<String>)> = names
        .windows(2)
        .map(|pair| (pair[0].clone(), vec![pair[1].clone()]))
        .collect();
    let source = RoleSource {
        claim: ClaimPath::from("roles"),
        format: RoleFormat::List,
    };
    let mut builder = RoleModelBuilder::new(Some(source), &includes);
    let last = builder.require("r19999");
    let model = builder.build().unwrap();
    assert!(model.roles_of(&claims(r#"{"roles":"r0"}"#)).has(&last));
}
