//! Cells against the policy, on random configs and requests: an allowed cell means that every request which
//! is as the column says is allowed, a denied one that none is.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ALL_KINDS, config_of};
use crate::claims::Claims;
use crate::cli::matrix::column::{Column, peer_patterns, sample_peer};
use crate::cli::matrix::evaluate::CellAccess;
use crate::cli::matrix::model::{Matrix, Named};
use crate::config::Config;
use crate::headers::{Header, Headers};
use crate::policy::authorize::Circumstances;
use crate::policy::locate::Target;
use crate::policy::principal::Principal;
use crate::policy::roles::RoleSet;

const ROLES: [&str; 4] = ["r0", "r1", "r2", "r3"];
const SCOPES: [&str; 2] = ["s0", "s1"];
const ISSUERS: [&str; 3] = ["i0", "i1", "i2"];
const PATTERNS: [&str; 4] = [
    "spiffe://td/*",
    "spiffe://td/a/*",
    "spiffe://td/a/any",
    "spiffe://td/b",
];
const PEERS: [&str; 5] = [
    "spiffe://td/any",
    "spiffe://td/a/any",
    "spiffe://td/a/anyx",
    "spiffe://td/b",
    "spiffe://other/a",
];

fn some_of(names: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(names.to_vec(), 1..=names.len())
}

fn test() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"claim": "acr", "equals": "mfa"})),
        Just(json!({"claim": "level", "at_least": 2})),
        Just(json!({"claim": "roles", "contains": "r0"})),
        Just(json!({"header": "x-env", "equals": "prod"})),
        prop::sample::select(&PATTERNS[..]).prop_map(|peer| json!({"peer": peer})),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|test| json!({"not": test})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|tests| json!({"all": tests})),
            prop::collection::vec(inner, 1..3).prop_map(|tests| json!({"any": tests})),
        ]
    })
}

/// Conditions; a key that is null is left out.
fn conditions() -> impl Strategy<Value = Value> {
    let option = |value: BoxedStrategy<Value>| prop_oneof![3 => Just(Value::Null), 1 => value];
    let names = |names| some_of(names).prop_map(|names| json!(names)).boxed();
    let scopes = some_of(&SCOPES).prop_map(|all| json!({"claim": "scope", "all": all}));
    (
        prop_oneof![Just(Value::Null), names(&ROLES)],
        option(names(&ROLES)),
        option(names(&ISSUERS)),
        option(Just(json!(["aud"])).boxed()),
        option(scopes.boxed()),
        option(Just(json!({"t": "tenant"})).boxed()),
        option(names(&PATTERNS)),
        option(test().boxed()),
    )
        .prop_map(
            |(any, all, issuers, audiences, scopes, bind, peers, when)| {
                let members = [
                    ("any_role", any),
                    ("all_roles", all),
                    ("issuers", issuers),
                    ("audiences", audiences),
                    ("scopes", scopes),
                    ("bind", bind),
                    ("peers", peers),
                    ("when", when),
                ];
                let members = members.into_iter().filter(|(_, value)| !value.is_null());
                let members: serde_json::Map<String, Value> = members
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect();
                if members.is_empty() {
                    json!({"any_role": ["r0"]})
                } else {
                    members.into()
                }
            },
        )
}

fn allow() -> impl Strategy<Value = Value> {
    let authenticated_or_peer = json!(["authenticated", {"peers": ["spiffe://td/a/*"]}]);
    prop_oneof![
        1 => Just(json!("public")),
        1 => Just(json!("authenticated")),
        1 => Just(authenticated_or_peer),
        8 => prop::collection::vec(conditions(), 1..4).prop_map(Value::from),
    ]
}

fn any_config() -> impl Strategy<Value = Config> {
    // A role includes only later ones.
    let includes = prop::collection::vec(any::<bool>(), 3).prop_map(|chain| {
        let pairs = ROLES.windows(2).zip(chain).filter(|(_, is_set)| *is_set);
        let members = pairs.map(|(pair, _)| (pair[0].to_owned(), json!([pair[1]])));
        Value::Object(members.collect())
    });
    let format = prop::sample::select(vec!["list", "space", "comma"]);
    let issuers = 1..=ISSUERS.len();
    let default = prop::sample::select(vec!["deny", "authenticated"]);
    (includes, format, issuers, default, prop::collection::vec(allow(), 1..6)).prop_map(
        |(includes, format, issuers, default, allow)| {
            let accepted = &ISSUERS[..issuers];
            let routes: Vec<Value> = allow
                .into_iter()
                .enumerate()
                .map(|(index, mut allow)| {
                    // A route can only name issuers that the config accepts.
                    for conditions in allow.as_array_mut().into_iter().flatten() {
                        if let Some(names) = conditions.get_mut("issuers").and_then(Value::as_array_mut) {
                            names.retain(|name| accepted.contains(&name.as_str().unwrap()));
                            if names.is_empty() {
                                names.push(json!(accepted[0]));
                            }
                        }
                    }
                    json!({"name": format!("n{index}"), "path": format!("/{index}/{{t}}"), "allow": allow})
                })
                .collect();
            let roles = json!({"claim": ["realm", "roles"], "format": format, "includes": includes});
            config_of(accepted, &json!({"roles": roles, "default": default, "routes": routes}))
        },
    )
}

/// What a request has; a column replaces a part of it.
#[derive(Debug, Clone)]
struct Sample {
    roles: Option<Vec<&'static str>>,
    scopes: Vec<&'static str>,
    issuer: usize,
    is_audience: bool,
    tenant: &'static str,
    acr: Option<&'static str>,
    level: Option<i64>,
    header: Option<&'static str>,
    peer: Option<&'static str>,
}

fn sample() -> impl Strategy<Value = Sample> {
    let any_of = |names: &'static [&'static str]| prop::sample::subsequence(names, 0..=names.len());
    (
        prop::option::of(any_of(&ROLES)),
        any_of(&SCOPES),
        0..ISSUERS.len(),
        any::<bool>(),
        prop::sample::select(vec!["a", "b"]),
        prop::option::of(prop::sample::select(vec!["mfa", "pwd"])),
        prop::option::of(0..4_i64),
        prop::option::of(prop::sample::select(vec!["prod", "dev"])),
        prop::option::of(prop::sample::select(&PEERS[..])),
    )
        .prop_map(
            |(roles, scopes, issuer, is_audience, tenant, acr, level, header, peer)| Sample {
                roles,
                scopes,
                issuer,
                is_audience,
                tenant,
                acr,
                level,
                header,
                peer,
            },
        )
}

struct TestPrincipal {
    claims: Claims,
    roles: RoleSet,
    issuer: String,
}

impl Principal for TestPrincipal {
    fn claims(&self) -> &Claims {
        &self.claims
    }

    fn roles(&self) -> &RoleSet {
        &self.roles
    }

    fn issuer(&self) -> &str {
        &self.issuer
    }
}

/// Whether the policy allows a request to a path that is as the column says, and else as the sample.
fn is_allowed(config: &Config, column: &Column, sample: &Sample, path: &str) -> bool {
    let issuers = &config.claims.issuers;
    let mut roles = sample.roles.clone();
    let mut scopes: Vec<&str> = sample.scopes.clone();
    let mut issuer = issuers[sample.issuer % issuers.len()].name.clone();
    let mut peers: Vec<String> = sample.peer.iter().map(|peer| (*peer).to_owned()).collect();
    match column {
        Column::Anonymous => roles = None,
        Column::Authenticated => roles = Some(Vec::new()),
        Column::Role(role) => roles = ROLES.iter().find(|it| *it == role).map(|it| vec![*it]),
        Column::Scope { scope, .. } => {
            roles.get_or_insert_default();
            scopes = vec![scope];
        }
        Column::Peer(pattern) => peers = vec![sample_peer(pattern, &peer_patterns(&[config]))],
        Column::Issuer(name) => {
            roles.get_or_insert_default();
            issuer.clone_from(name);
        }
    }
    let principal = roles.map(|roles| {
        let mut claims = json!({"scope": scopes.join(" "), "tenant": sample.tenant, "acr": sample.acr,
            "level": sample.level});
        if sample.is_audience {
            claims["aud"] = json!("aud");
        }
        let found = match roles.as_slice() {
            [] => None,
            roles => config.rbac.roles.claims_with(roles),
        };
        if let Some(found) = found {
            let role = &config.rbac.roles.names_in(&found).collect::<Vec<_>>();
            assert_eq!(role, &roles);
            let realm = found.get("realm").unwrap().as_object().unwrap();
            let roles = realm.get("roles").unwrap();
            claims["realm"]["roles"] = match roles.as_str() {
                Some(text) => json!(text),
                None => json!(role),
            };
        }
        let claims = Claims::parse(claims.to_string().as_bytes()).unwrap().unwrap();
        TestPrincipal {
            roles: config.rbac.roles.roles_of(&claims),
            claims,
            issuer,
        }
    });
    let target = Target {
        method: b"GET",
        authority: b"a.example",
        path: path.as_bytes(),
        ..Target::default()
    };
    let location = config.rbac.locate(&target).unwrap();
    let header: Vec<Header<'_>> = sample
        .header
        .iter()
        .map(|value| (&b"x-env"[..], value.as_bytes()))
        .collect();
    let circumstances = Circumstances {
        headers: &Headers::new(&header),
        peers: &|| peers.clone(),
        now: 1_767_225_600,
    };
    let result = config
        .rbac
        .authorize(&location, principal.as_ref(), &circumstances);
    result.is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn unconditional_cells_hold_for_every_request(
        config in any_config(),
        samples in prop::collection::vec(sample(), 24),
    ) {
        let name = "config";
        let matrix = Matrix::new(Named { name, config: &config }, None, &ALL_KINDS);
        for (index, row) in matrix.rows.iter().enumerate() {
            let path = format!("/{index}/a");
            for (info, pair) in matrix.columns.iter().zip(&row.cells) {
                let cell = matrix.cell(pair.new.unwrap()).unwrap();
                let expected = match cell.access {
                    CellAccess::Allowed => true,
                    CellAccess::Denied => false,
                    CellAccess::Conditional => continue,
                };
                for sample in &samples {
                    let found = is_allowed(&config, &info.column, sample, &path);
                    prop_assert_eq!(
                        found, expected,
                        "{:?} on {:?}: {:?} {:?}", info.column, row.shown(), cell, sample
                    );
                }
            }
        }
    }

    /// Roles decide on their own if a route asks for nothing else: then no cell of a role is conditional.
    #[test]
    fn roles_alone_leave_nothing_open(
        any in some_of(&ROLES),
        all in some_of(&ROLES),
    ) {
        let config = super::config(&json!({}), &json!([
            {"name": "a", "path": "/a", "allow": [{"any_role": any}, {"all_roles": all}]},
        ]));
        let matrix = super::matrix(&config, &ALL_KINDS);
        for pair in &matrix.rows[0].cells {
            let cell = matrix.cell(pair.new.unwrap()).unwrap();
            prop_assert_ne!(cell.access, CellAccess::Conditional);
        }
    }
}
