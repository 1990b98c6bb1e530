//! `allow` of a route: alternatives and their conditions.

use super::problem::Fault;
use super::reader::Node;
use super::settings::claim_name_or_path;
use crate::json::Json;
use crate::policy::access::{Access, Alternative, Binding, Conditions, Scopes};
use crate::policy::condition::{ClaimTest, Number, Scalar, Test, TextTest};
use crate::policy::peer::PeerPattern;
use crate::policy::roles::{RoleModelBuilder, RoleNeed};

/// What the rest of the config says of the names that conditions use.
pub(super) struct Known<'k> {
    /// Whether `rbac.roles` says which claim holds the roles.
    pub(super) roles: bool,
    /// The issuers; `None` where they could not be read.
    pub(super) issuers: Option<Vec<&'k str>>,
}

/// Reads one alternative or a list of them.
pub(super) fn access(
    node: &Node<'_>,
    roles: &mut RoleModelBuilder,
    known: &Known<'_>,
) -> Option<Access> {
    let alternatives = if node.json().as_array().is_some() {
        let items = node.items()?;
        let read: Vec<Alternative> = items
            .iter()
            .filter_map(|item| alternative(item, roles, known))
            .collect();
        if read.len() != items.len() {
            return None;
        }
        read
    } else {
        vec![alternative(node, roles, known)?]
    };
    Access::new(alternatives).map_or_else(
        |error| node.refuse(Fault::Conflict(error.to_string())),
        Some,
    )
}

fn alternative(
    node: &Node<'_>,
    roles: &mut RoleModelBuilder,
    known: &Known<'_>,
) -> Option<Alternative> {
    if node.json().as_str().is_some() {
        let words = [("public", true), ("authenticated", false)];
        return node.one_of(&words).map(|public| {
            if public {
                Alternative::Public
            } else {
                Alternative::Authenticated
            }
        });
    }
    let section = node.section()?;
    let mut complete = true;
    let mut named = |key, expected| -> Vec<RoleNeed> {
        let Some(node) = section.key(key) else {
            return Vec::new();
        };
        if !known.roles {
            node.refuse::<()>(Fault::Conflict(
                "there is no rbac.roles that says which claim holds the roles".into(),
            ));
        }
        let Some(names) = node.names(expected) else {
            complete = false;
            return Vec::new();
        };
        names.iter().map(|name| roles.need(name)).collect()
    };
    let any_role = named(
        "any_role",
        "roles of which one suffices, or leave the key out",
    );
    let all_roles = named(
        "all_roles",
        "roles that are all needed, or leave the key out",
    );
    let mut texts = |key, expected| -> Vec<String> {
        let Some(node) = section.key(key) else {
            return Vec::new();
        };
        node.names(expected).unwrap_or_else(|| {
            complete = false;
            Vec::new()
        })
    };
    let issuers = texts(
        "issuers",
        "issuers of which one suffices, or leave the key out",
    );
    let audiences = texts(
        "audiences",
        "audiences of which one suffices, or leave the key out",
    );
    if let (Some(known), Some(node)) = (&known.issuers, section.key("issuers")) {
        for item in node
            .json()
            .as_array()
            .and_then(|_| node.items())
            .iter()
            .flatten()
        {
            let unknown = |name: &&str| !name.is_empty() && !known.contains(name);
            if item.json().as_str().as_ref().is_some_and(unknown) {
                item.refuse_value::<()>(format!(
                    "one of claims.issuers, or it never holds: {}",
                    known.join(", ")
                ));
            }
        }
    }
    let scopes = section.key("scopes").map(|node| scopes(&node));
    let bind = section.key("bind").map(|node| bind(&node));
    let peers = section.key("peers").map(|node| {
        let count = node.items().map(|items| items.len());
        node.list(
            "SPIFFE IDs, like spiffe://cluster.local/ns/edge/*, or leave the key out",
            peer,
        )
        .filter(|peers| Some(peers.len()) == count)
    });
    let when = section.key("when").map(|node| test(&node, 0));
    section.finish();
    let conditions = Conditions {
        any_role,
        all_roles,
        issuers,
        audiences,
        scopes: transpose(scopes)?,
        bind: transpose(bind)?.unwrap_or_default(),
        peers: transpose(peers)?.unwrap_or_default(),
        when: transpose(when)?,
    };
    complete.then(|| Alternative::Conditions(Box::new(conditions)))
}

/// Absent is fine, present and unreadable is not.
#[allow(clippy::option_option)]
fn transpose<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

fn scopes(node: &Node<'_>) -> Option<Scopes> {
    let section = node.section()?;
    let claim = section
        .required("claim", "the claim that holds the scopes, like scope")
        .and_then(|node| claim_name_or_path(&node));
    let all = section
        .required("all", "the scopes that are needed")
        .and_then(|node| node.names("at least one scope"));
    section.finish();
    Some(Scopes {
        claim: claim?,
        all: all?,
    })
}

fn bind(node: &Node<'_>) -> Option<Vec<Binding>> {
    let entries = node.entries()?;
    if entries.is_empty() {
        return node.refuse(Fault::EmptyList {
            expected: "bind at least one path variable to a claim, or leave the key out",
        });
    }
    let read: Vec<Binding> = entries
        .iter()
        .filter_map(|(variable, node)| {
            Some(Binding {
                variable: (*variable).to_owned(),
                claim: claim_name_or_path(node)?,
            })
        })
        .collect();
    (read.len() == entries.len()).then_some(read)
}

fn peer(node: &Node<'_>) -> Option<PeerPattern> {
    PeerPattern::parse(node.name()?).map_or_else(
        |error| node.refuse(Fault::Conflict(error.to_string())),
        Some,
    )
}

/// No condition in use is nested deeper.
const MAX_DEPTH: usize = 16;

fn test(node: &Node<'_>, depth: usize) -> Option<Test> {
    if depth > MAX_DEPTH {
        return node.refuse(Fault::Conflict(format!(
            "nested deeper than {MAX_DEPTH} levels"
        )));
    }
    let below = depth.saturating_add(1);
    let section = node.section()?;
    let kinds: Vec<&str> = KINDS
        .iter()
        .copied()
        .filter(|kind| section.has(kind))
        .collect();
    if kinds.len() != 1 {
        let found = match kinds.as_slice() {
            [] => "none".to_owned(),
            kinds => kinds.join(" and "),
        };
        return section.refuse(
            None,
            Fault::Conflict(format!(
                "a test has exactly one of {}; this one has {found}",
                KINDS.join(", ")
            )),
        );
    }
    let read = if let Some(inner) = section.key("all") {
        tests(&inner, below).map(Test::All)
    } else if let Some(inner) = section.key("any") {
        tests(&inner, below).map(Test::Any)
    } else if let Some(inner) = section.key("not") {
        test(&inner, below).map(|inner| Test::Not(Box::new(inner)))
    } else if let Some(inner) = section.key("peer") {
        peer(&inner).map(Test::Peer)
    } else if let Some(inner) = section.key("claim") {
        let path = claim_name_or_path(&inner);
        let test = one_test(&section, CLAIM_TESTS, claim_test);
        path.and_then(|path| Some(Test::Claim { path, test: test? }))
    } else if let Some(inner) = section.key("header") {
        let name = inner.header_name();
        let test = one_test(&section, HEADER_TESTS, text_test);
        name.and_then(|name| Some(Test::Header { name, test: test? }))
    } else {
        // It is null, which was noted.
        None
    };
    section.finish();
    read
}

const KINDS: [&str; 6] = ["all", "any", "not", "claim", "header", "peer"];

fn tests(node: &Node<'_>, depth: usize) -> Option<Vec<Test>> {
    let count = node.items()?.len();
    let tests = node.list("at least one test", |node| test(node, depth))?;
    (tests.len() == count).then_some(tests)
}

const CLAIM_TESTS: &[&str] = &[
    "equals", "in", "contains", "prefix", "exists", "at_least", "at_most", "max_age",
];
const HEADER_TESTS: &[&str] = &["equals", "in", "contains", "prefix", "exists"];

/// The one test that stands beside `claim` or `header`.
fn one_test<T>(
    section: &super::reader::Section<'_>,
    names: &'static [&'static str],
    read: impl Fn(&str, &Node<'_>) -> Option<T>,
) -> Option<T> {
    let found: Vec<(&str, Node<'_>)> = names
        .iter()
        .filter_map(|name| Some((*name, section.key(name)?)))
        .collect();
    match found.as_slice() {
        [(name, node)] => read(name, node),
        _ => section.refuse(
            None,
            Fault::Conflict(format!(
                "it takes exactly one of {}, has {}",
                names.join(", "),
                found.len()
            )),
        ),
    }
}

fn claim_test(name: &str, node: &Node<'_>) -> Option<ClaimTest> {
    match name {
        "equals" => scalar(node).map(ClaimTest::Equals),
        "in" => {
            let count = node.items()?.len();
            let values = node.list("at least one value", scalar)?;
            (values.len() == count).then_some(ClaimTest::In(values))
        }
        "contains" => scalar(node).map(ClaimTest::Contains),
        "prefix" => node.name().map(|text| ClaimTest::Prefix(text.to_owned())),
        "exists" => exists(node).map(|()| ClaimTest::Exists),
        "at_least" => number(node).map(ClaimTest::AtLeast),
        "at_most" => number(node).map(ClaimTest::AtMost),
        _ => node.seconds(1, 366 * 86_400).map(ClaimTest::MaxAge),
    }
}

fn text_test(name: &str, node: &Node<'_>) -> Option<TextTest> {
    let text = |node: &Node<'_>| node.text().map(str::to_owned);
    match name {
        "equals" => text(node).map(TextTest::Equals),
        "in" => {
            let count = node.items()?.len();
            let values = node.list("at least one value", text)?;
            (values.len() == count).then_some(TextTest::In(values))
        }
        "contains" => text(node).map(TextTest::Contains),
        "prefix" => text(node).map(TextTest::Prefix),
        _ => exists(node).map(|()| TextTest::Exists),
    }
}

fn exists(node: &Node<'_>) -> Option<()> {
    if node.boolean()? {
        Some(())
    } else {
        node.refuse_value("exists: true; that a claim is absent can't be asked for")
    }
}

fn scalar(node: &Node<'_>) -> Option<Scalar> {
    match node.json() {
        Json::String(text) => Some(Scalar::String(text.to_string())),
        Json::Bool(flag) => Some(Scalar::Bool(*flag)),
        Json::Integer(_) | Json::Float(_) => number(node).map(Scalar::Number),
        _ => node.refuse(Fault::Type {
            found: node.json().type_name(),
            expected: "a string, a number, true or false",
        }),
    }
}

fn number(node: &Node<'_>) -> Option<Number> {
    Number::of(node.json()).or_else(|| {
        node.refuse(Fault::Type {
            found: node.json().type_name(),
            expected: "a number",
        })
    })
}
