//! `when` of a route's conditions: tests on claims, headers and the peer.

use super::access::peer;
use super::conflict::Conflict;
use super::headers::Purpose;
use super::reader::Node;
use super::section::Section;
use crate::json::Json;
use crate::policy::condition::{ClaimTest, Number, Scalar, Test, TestError, TextTest};

/// The maximum nesting of tests.
const MAX_DEPTH: usize = 16;

const KINDS: [&str; 6] = ["all", "any", "not", "claim", "header", "peer"];

const CLAIM_TESTS: [&str; 8] = [
    "equals", "in", "contains", "prefix", "exists", "at_least", "at_most", "max_age",
];

const HEADER_TESTS: [&str; 5] = ["equals", "in", "contains", "prefix", "exists"];

/// Reads a condition.
pub(super) fn condition(node: &Node<'_>) -> Option<Test> {
    test(node, 0)
}

fn test(node: &Node<'_>, depth: usize) -> Option<Test> {
    if depth > MAX_DEPTH {
        return node.report(Conflict::TooDeep(MAX_DEPTH));
    }
    let below = depth.saturating_add(1);
    let section = node.section()?;
    let kinds: Vec<&str> = KINDS
        .iter()
        .copied()
        .filter(|kind| section.has(kind))
        .collect();
    let [kind] = kinds.as_slice() else {
        return section.report(
            None,
            Conflict::TestKind {
                allowed: KINDS.join(", "),
                found: list(&kinds),
            },
        );
    };
    // Reads every key, so that the error for an unknown key names them all.
    let [all, any, not, peer_node] = ["all", "any", "not", "peer"].map(|key| section.key(key));
    let test = match *kind {
        "all" => all.and_then(|node| tests(&node, below)).map(Test::All),
        "any" => any.and_then(|node| tests(&node, below)).map(Test::Any),
        "not" => not
            .and_then(|node| test(&node, below))
            .map(|inner| Test::Not(Box::new(inner))),
        "peer" => peer_node.and_then(|node| peer(&node)).map(Test::Peer),
        "claim" => {
            let path = section.key("claim").and_then(|node| node.claim());
            let test = comparison(&section, "claim", &CLAIM_TESTS, claim_test);
            path.and_then(|path| Some(Test::Claim { path, test: test? }))
        }
        _ => header_test(&section),
    };
    section.finish();
    test
}

fn tests(node: &Node<'_>, depth: usize) -> Option<Vec<Test>> {
    node.list("add at least one test", |node| test(node, depth))
}

fn header_test(section: &Section<'_>) -> Option<Test> {
    let name = section.key("header").and_then(|node| {
        let name = node.header_name()?;
        if let Err(error) = TestError::check_header(&name) {
            return node.report(error);
        }
        node.use_header(&name, Purpose::Tested);
        Some(name)
    });
    let test = comparison(section, "header", &HEADER_TESTS, text_test);
    name.and_then(|name| Some(Test::Header { name, test: test? }))
}

/// The comparison of a `claim` or `header` test.
fn comparison<T>(
    section: &Section<'_>,
    of: &'static str,
    names: &[&'static str],
    read: impl Fn(&str, &Node<'_>) -> Option<T>,
) -> Option<T> {
    let nodes: Vec<(&str, Option<Node<'_>>)> = names
        .iter()
        .map(|name| (*name, section.key(name)))
        .filter(|(name, _)| section.has(name))
        .collect();
    if let [(name, node)] = nodes.as_slice() {
        // `None` is a null, which was reported.
        return read(name, node.as_ref()?);
    }
    // If a key is unknown, that is the error.
    let [_, _, ..] = nodes.as_slice() else {
        if section.finish() {
            section.report::<()>(
                None,
                Conflict::Comparison {
                    of,
                    allowed: names.join(", "),
                    found: list(&[]),
                },
            );
        }
        return None;
    };
    let found: Vec<&str> = nodes.iter().map(|(name, _)| *name).collect();
    section.report(
        None,
        Conflict::Comparison {
            of,
            allowed: names.join(", "),
            found: list(&found),
        },
    )
}

fn list(found: &[&str]) -> String {
    if found.is_empty() {
        "none".to_owned()
    } else {
        found.join(" and ")
    }
}

fn claim_test(name: &str, node: &Node<'_>) -> Option<ClaimTest> {
    match name {
        "equals" => scalar(node).map(ClaimTest::Equals),
        "in" => node
            .list("list at least one value", scalar)
            .map(ClaimTest::In),
        "contains" => scalar(node).map(ClaimTest::Contains),
        "prefix" => non_empty(node, "prefix").map(ClaimTest::Prefix),
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
        "in" => node.list("list at least one value", text).map(TextTest::In),
        "contains" => non_empty(node, "contains").map(TextTest::Contains),
        "prefix" => non_empty(node, "prefix").map(TextTest::Prefix),
        _ => exists(node).map(|()| TextTest::Exists),
    }
}

/// A text that is not empty.
fn non_empty(node: &Node<'_>, test: &'static str) -> Option<String> {
    match node.text()? {
        "" => node.report(TestError::EmptyText(test)),
        text => Some(text.to_owned()),
    }
}

fn exists(node: &Node<'_>) -> Option<()> {
    if node.boolean()? {
        Some(())
    } else {
        node.report_value("must be true: there is no test for an absent value")
    }
}

fn scalar(node: &Node<'_>) -> Option<Scalar> {
    match node.json() {
        Json::String(text) => Some(Scalar::String(text.to_string())),
        Json::Bool(flag) => Some(Scalar::Bool(*flag)),
        Json::Integer(_) | Json::Float(_) => number(node).map(Scalar::Number),
        Json::Null | Json::Array(_) | Json::Object(_) => {
            node.report_type("a string, a number, true or false")
        }
    }
}

fn number(node: &Node<'_>) -> Option<Number> {
    Number::of(node.json()).or_else(|| node.report_type("a number"))
}
