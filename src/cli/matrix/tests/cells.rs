//! What cells say, and how two configs are compared.

use serde_json::json;

use super::{ALL_KINDS, config, config_of, matrix, pair, row, shown};
use crate::cli::matrix::column::ColumnKind;
use crate::cli::matrix::model::{Change, Matrix, Named, RowChange};

#[test]
fn a_cell_names_what_decides_and_what_is_open() {
    let config = config(
        &json!({"admin": ["editor"]}),
        &json!([
            {"name": "public", "path": "/p", "allow": "public"},
            {"name": "me", "path": "/m", "allow": "authenticated"},
            {"name": "edit", "path": "/e/{t}", "allow": {"any_role": ["editor", "owner"]}},
            {"name": "bound", "path": "/b/{t}", "allow": [
                {"any_role": ["owner"]},
                {"any_role": ["editor"], "bind": {"t": "tenant"}, "when": {"all": [
                    {"claim": "acr", "in": ["mfa"]}, {"header": "x-env", "equals": "prod"},
                ]}},
            ]},
        ]),
    );
    let matrix = matrix(&config, &[ColumnKind::Roles]);
    let names: Vec<String> = matrix.columns.iter().map(|it| it.column.name()).collect();
    assert_eq!(
        names,
        ["anonymous", "authenticated", "admin", "editor", "owner"]
    );
    for (route, column, expected) in [
        ("public", "anonymous", "allowed (holds: public)"),
        (
            "me",
            "anonymous",
            "denied (claims_missing: needs a verified token)",
        ),
        ("me", "authenticated", "allowed (holds: a verified token)"),
        (
            "edit",
            "authenticated",
            "denied (role: needs any of [editor, owner])",
        ),
        ("edit", "editor", "allowed (holds: role editor)"),
        (
            "edit",
            "admin",
            "allowed (holds: role editor, which admin includes)",
        ),
        (
            "bound",
            "editor",
            "conditional (role: needs any of [owner] | if {t} equals the claim tenant; \
             claim acr in [\"mfa\"]; header x-env equals \"prod\")",
        ),
        (
            "(no route)",
            "anonymous",
            "denied (claims_missing: needs a verified token)",
        ),
        (
            "(no route)",
            "owner",
            "denied (route_unknown: no route matches, and rbac.default is deny)",
        ),
    ] {
        assert_eq!(shown(&matrix, route, column), expected, "{route} {column}");
    }
}

#[test]
fn scopes_peers_and_issuers_are_columns() {
    let rbac = json!({
        "roles": {"claim": "roles"},
        "routes": [
            {"name": "a", "path": "/a", "allow": {"any_role": ["r"], "scopes": {"claim": "scope", "all": ["x"]}}},
            {"name": "b", "path": "/b", "allow": {"peers": ["spiffe://td/ns/*"]}},
            {"name": "c", "path": "/c", "allow": {"issuers": ["one"], "when": {"not": {"peer": "spiffe://td/ns/a"}}}},
        ],
    });
    let config = config_of(&["one", "two"], &rbac);
    let matrix = matrix(&config, &ALL_KINDS);
    for (route, column, expected) in [
        ("a", "r", "conditional (if scope x)"),
        ("a", "x", "conditional (if role r)"),
        (
            "a",
            "spiffe://td/ns/*",
            "conditional (if a verified token; role r; scope x)",
        ),
        ("b", "anonymous", "conditional (if peer spiffe://td/ns/*)"),
        (
            "b",
            "spiffe://td/ns/*",
            "allowed (holds: peer spiffe://td/ns/*)",
        ),
        (
            "b",
            "spiffe://td/ns/a",
            "allowed (holds: peer spiffe://td/ns/*)",
        ),
        (
            "c",
            "r",
            "conditional (if issuer one; not(peer spiffe://td/ns/a))",
        ),
        ("c", "one", "conditional (if not(peer spiffe://td/ns/a))"),
        (
            "c",
            "spiffe://td/ns/*",
            "conditional (if a verified token; issuer one)",
        ),
        (
            "c",
            "spiffe://td/ns/a",
            "denied (condition: not(peer spiffe://td/ns/a): does not hold)",
        ),
    ] {
        assert_eq!(shown(&matrix, route, column), expected, "{route} {column}");
    }
}

#[test]
fn a_role_that_no_token_can_have_is_noted() {
    let rbac = json!({
        "roles": {"claim": "roles", "format": "space", "includes": {"boss": ["team lead"]}},
        "routes": [{"name": "a", "path": "/a", "allow": {"any_role": ["team lead"]}}],
    });
    let config = config_of(&["i"], &rbac);
    let matrix = matrix(&config, &[ColumnKind::Roles]);
    assert_eq!(
        shown(&matrix, "a", "boss"),
        "allowed (holds: role team lead, which boss includes)"
    );
    assert!(shown(&matrix, "a", "team lead").starts_with("denied"));
    let notes: Vec<bool> = matrix.columns.iter().map(|it| it.note.is_some()).collect();
    assert_eq!(notes, [false, false, false, true]);
}

#[test]
fn a_route_that_needs_several_roles_says_so() {
    let config = config(
        &json!({}),
        &json!([
            {"name": "two", "path": "/a", "allow": {"any_role": ["x"], "all_roles": ["y"]}},
            {"name": "one", "path": "/b", "allow": {"any_role": ["x", "y"]}},
        ]),
    );
    let matrix = matrix(&config, &[ColumnKind::Roles]);
    let several = |name: &str| row(&matrix, name).shown().unwrap().needs_several_roles;
    assert_eq!([several("two"), several("one")], [true, false]);
}

#[test]
fn two_configs_are_compared_by_the_names_of_routes() {
    let old = config(
        &json!({}),
        &json!([
            {"name": "wider", "path": "/w", "allow": {"any_role": ["x"]}},
            {"name": "narrower", "path": "/n", "allow": "authenticated"},
            {"name": "other", "path": "/o/{t}", "allow": {"any_role": ["x"], "bind": {"t": "a"}}},
            {"name": "moved", "path": "/m", "allow": "public"},
            {"name": "gone", "hosts": ["*.a.example"], "methods": ["PUT"], "path": "/g/{a}/{*b}", "allow": "public"},
            {"name": "rest", "path": "/{*rest}", "allow": {"any_role": ["y"]}},
        ]),
    );
    let new = config(
        &json!({}),
        &json!([
            {"name": "wider", "path": "/w", "allow": {"any_role": ["x", "z"]}},
            {"name": "narrower", "path": "/n", "allow": {"any_role": ["x"]}},
            {"name": "other", "path": "/o/{t}", "allow": {"any_role": ["x"], "bind": {"t": "b"}}},
            {"name": "moved", "path": "/m2", "allow": "public", "mode": "shadow"},
            {"name": "added", "path": "/w/below", "allow": "public"},
            {"name": "rest", "path": "/{*rest}", "allow": {"any_role": ["y"]}},
        ]),
    );
    let named = |name, config| Named { name, config };
    let mut matrix = Matrix::new(
        named("new", &new),
        Some(named("old", &old)),
        &[ColumnKind::Roles],
    );
    let change = |route: &str, column: &str| pair(&matrix, route, column).change;
    assert_eq!(change("wider", "z"), Some(Change::NewlyAllowed));
    assert_eq!(change("wider", "x"), None);
    assert_eq!(
        change("narrower", "authenticated"),
        Some(Change::NewlyDenied)
    );
    assert_eq!(change("other", "x"), Some(Change::Conditions));
    let rows: Vec<_> = matrix
        .rows
        .iter()
        .map(|row| {
            (
                row.shown().unwrap().title(),
                row.change(),
                row.instead.as_deref(),
            )
        })
        .collect();
    let changed = Some(RowChange::Changed);
    assert_eq!(
        rows,
        [
            ("wider", changed, None),
            ("narrower", changed, None),
            ("other", changed, None),
            ("moved", changed, None),
            ("added", Some(RowChange::Added), Some("rest")),
            ("rest", None, None),
            ("gone", Some(RowChange::Removed), Some("rest")),
            ("(no route)", None, None),
        ]
    );
    // What replaces a route is compared with it.
    assert_eq!(change("added", "anonymous"), Some(Change::NewlyAllowed));
    assert_eq!(change("gone", "anonymous"), Some(Change::NewlyDenied));
    assert_eq!(change("gone", "y"), None);
    matrix.keep_changes();
    assert_eq!(matrix.rows.len(), 6);
    assert!(matrix.columns.iter().all(|it| it.column.name() != "nobody"));
}

#[test]
fn a_config_does_not_differ_from_itself() {
    let config = config(
        &json!({}),
        &json!([{"name": "a", "path": "/a", "allow": {"any_role": ["x"]}}]),
    );
    let named = |name| Named {
        name,
        config: &config,
    };
    let mut matrix = Matrix::new(named("new"), Some(named("old")), &ALL_KINDS);
    matrix.keep_changes();
    assert!(matrix.rows.is_empty() && matrix.columns.is_empty());
}
