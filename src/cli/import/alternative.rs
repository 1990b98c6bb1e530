//! One alternative of a route's `allow`.

use serde_json::{Value, json};

use super::listed::Report;

/// One alternative of `allow`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Alternative {
    /// `peers`; `None` if any client will do.
    pub(super) peers: Option<Vec<String>>,
    /// Whether the source requires a verified token here.
    pub(super) token: bool,
    /// `scopes`: the claim and the scopes.
    pub(super) scopes: Option<(Vec<String>, Vec<String>)>,
    /// Tests of `when`, all of which must hold.
    pub(super) tests: Vec<Value>,
    /// What the filter requires a token for, though the source does not.
    pub(super) needs_token: Option<(String, String)>,
}

impl Alternative {
    pub(super) fn of_test(test: Value, token: bool, (place, text): (String, String)) -> Self {
        let tests = match test.get("all").and_then(Value::as_array) {
            Some(inner) => inner.clone(),
            None => vec![test],
        };
        Self {
            token,
            tests,
            needs_token: (!token).then_some((place, text)),
            ..Self::default()
        }
    }

    /// Both; `None` if no alternative says so.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let peers = match (&self.peers, &other.peers) {
            (Some(one), Some(other)) => Some(common_peers(one, other)),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let scopes = match (&self.scopes, &other.scopes) {
            (Some((one, scopes)), Some((other, more))) if one == other => {
                let mut scopes = scopes.clone();
                scopes.extend(
                    more.iter()
                        .filter(|scope| !scopes.contains(scope))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
                Some((one.clone(), scopes))
            }
            (Some(_), Some(_)) => return None,
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let mut tests = self.tests.clone();
        for test in &other.tests {
            if !tests.contains(test) {
                tests.push(test.clone());
            }
        }
        Some(Self {
            peers,
            token: self.token || other.token,
            scopes,
            tests,
            needs_token: self
                .needs_token
                .clone()
                .or_else(|| other.needs_token.clone()),
        })
    }

    /// Whether it needs no token and no peer.
    pub(super) fn is_public(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it can never hold.
    pub(super) fn is_empty(&self) -> bool {
        self.peers.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether it uses the client's certificate.
    pub(super) fn uses_peers(&self) -> bool {
        self.peers.is_some()
            || self
                .tests
                .iter()
                .any(|test| test.to_string().contains("\"peer\":"))
    }

    /// As the config has it. Lists where the filter asks for a token and the source does not.
    pub(super) fn to_json(&self, issuers: &[String], report: &mut Report) -> Value {
        let mut conditions = serde_json::Map::new();
        let mut tests = self.tests.clone();
        // A condition of its own, if the config has these issuers.
        let known = |test: &Value| {
            issuers_of(test).filter(|names| names.iter().all(|name| issuers.contains(name)))
        };
        if let Some(index) = tests.iter().position(|test| known(test).is_some()) {
            let names = known(&tests.remove(index)).unwrap_or_default();
            conditions.insert("issuers".to_owned(), json!(names));
        }
        if let Some(peers) = &self.peers {
            conditions.insert("peers".to_owned(), json!(peers));
        }
        if let Some((claim, all)) = &self.scopes {
            conditions.insert("scopes".to_owned(), json!({"claim": claim, "all": all}));
        }
        match tests.as_slice() {
            [] if self.token
                && conditions.keys().all(|key| key == "peers")
                && self.peers.is_some() =>
            {
                conditions.insert("when".to_owned(), json!({"claim": "iss", "exists": true}));
            }
            [] => {}
            [only] => {
                conditions.insert("when".to_owned(), only.clone());
            }
            tests => {
                conditions.insert("when".to_owned(), json!({ "all": tests }));
            }
        }
        if !self.token
            && let Some((place, text)) = &self.needs_token
        {
            report.list(place, text, "the filter tests headers and claims of requests with a verified token only; requests without one are denied");
        }
        match (conditions.is_empty(), self.token) {
            (true, true) => json!("authenticated"),
            (true, false) => json!("public"),
            _ => Value::Object(conditions),
        }
    }
}

/// The issuers that a test of `iss` names.
fn issuers_of(test: &Value) -> Option<Vec<String>> {
    if test.get("claim")? != "iss" {
        return None;
    }
    if let Some(name) = test.get("equals") {
        return Some(vec![name.as_str()?.to_owned()]);
    }
    let names = test.get("in")?.as_array()?.iter();
    names.map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The SPIFFE IDs that both lists have.
fn common_peers(one: &[String], other: &[String]) -> Vec<String> {
    let mut common: Vec<String> = Vec::new();
    for a in one {
        for b in other {
            let narrower = if a == b || is_peer_within(a, b) {
                a
            } else if is_peer_within(b, a) {
                b
            } else {
                continue;
            };
            if !common.contains(narrower) {
                common.push(narrower.clone());
            }
        }
    }
    common
}

fn is_peer_within(one: &str, other: &str) -> bool {
    other
        .strip_suffix('*')
        .is_some_and(|prefix| one.starts_with(prefix))
}
