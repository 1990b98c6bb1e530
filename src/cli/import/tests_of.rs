//! One test of the source, as a test of `when`, or as `peers`.
//!
//! A translated test holds only if the source's does. Two properties of the filter matter: a value that is missing
//! or of another type satisfies neither a test nor its `not`, and each value of a repeated header is tested.

use serde_json::{Value, json};

use super::expr::{Kind, Leaf, PeerTest, ValueTest};
use super::listed::Report;
use super::text::{Text, TextRule};
use crate::policy::peer::PeerPattern;

/// Translates tests for one config.
pub(super) struct Translator<'c> {
    /// The trust domain of peers whose domain the source leaves open.
    pub(super) trust_domain: &'c str,
    /// The issuers of the config.
    pub(super) issuers: &'c [String],
    /// Why a header cannot be tested, if it cannot.
    pub(super) untestable_header: &'c dyn Fn(&str) -> Option<&'static str>,
}

/// Why a test has no translation.
pub(super) struct Untranslated(pub(super) String);

type Translation = Result<Value, Untranslated>;

fn no<T>(why: &str) -> Result<T, Untranslated> {
    Err(Untranslated(why.to_owned()))
}

impl Translator<'_> {
    /// The test of `when` for a test or its opposite. Lists where it holds less often than the source's.
    pub(super) fn test(&self, leaf: &Leaf, negated: bool, report: &mut Report) -> Translation {
        match &leaf.kind {
            Kind::Path(_) => no("no route pattern says which paths it matches"),
            Kind::Host(_) => no("no host pattern says which hosts it matches"),
            Kind::Method(_) => no("methods are listed by name here"),
            Kind::Unknown(why) => no(why),
            Kind::Token if negated => no("requests without a token cannot be told from others"),
            Kind::Token => Ok(json!({"claim": "iss", "exists": true})),
            Kind::Issuers(issuers) if negated => {
                if self.issuers.iter().all(|known| issuers.contains(known)) {
                    return no("requests without such a token cannot be told from others");
                }
                Ok(json!({"not": {"claim": "iss", "in": issuers}}))
            }
            Kind::Issuers(issuers) => match issuers.as_slice() {
                [] => no("no issuer of it could be imported"),
                [only] => Ok(json!({"claim": "iss", "equals": only})),
                issuers => Ok(json!({"claim": "iss", "in": issuers})),
            },
            Kind::Claim {
                path,
                tests,
                spaces,
            } => {
                if *spaces {
                    return no("a claim that is split at spaces has no such test here");
                }
                if negated {
                    let test = not_claim(path, tests)?;
                    Self::list_missing(leaf, "claim", report);
                    Ok(test)
                } else {
                    claim(leaf, path, tests, report)
                }
            }
            Kind::Header { name, test, invert } => {
                if *invert && negated {
                    Self::list_missing(leaf, "header", report);
                }
                self.header(leaf, name, test.as_ref(), *invert != negated, report)
            }
            Kind::Peer(tests) if negated => {
                let mut all = Vec::new();
                for test in tests {
                    all.extend(self.not_peer(test)?);
                }
                Self::list_missing(leaf, "client certificate", report);
                Ok(match all.len() {
                    1 => all.pop().unwrap_or_default(),
                    _ => json!({ "all": all }),
                })
            }
            Kind::Peer(tests) => match self.peers(leaf, tests, report).as_slice() {
                [] => no("no SPIFFE ID says which peers it matches"),
                [only] => Ok(json!({ "peer": only })),
                peers => {
                    let any: Vec<Value> =
                        peers.iter().map(|peer| json!({ "peer": peer })).collect();
                    Ok(json!({ "any": any }))
                }
            },
        }
    }

    fn list_missing(leaf: &Leaf, what: &str, report: &mut Report) {
        let why = format!(
            "the filter's `not` needs a value: requests without this {what}, or with one of another type, are denied"
        );
        report.list(&leaf.place, &format!("not {}", leaf.text), &why);
    }

    fn header(
        &self,
        leaf: &Leaf,
        name: &str,
        test: Option<&Text>,
        negated: bool,
        report: &mut Report,
    ) -> Translation {
        if let Some(why) = (self.untestable_header)(name) {
            return no(why);
        }
        let Some(text) = test else {
            return if negated {
                no("there is no test for an absent header")
            } else {
                Ok(json!({"header": name, "exists": true}))
            };
        };
        if text.ignore_case {
            return no("headers are compared with respect to case here");
        }
        let (test, inverted) = match &text.rule {
            TextRule::Any => (json!({"header": name, "exists": true}), false),
            TextRule::NonEmpty => (json!({"header": name, "equals": ""}), true),
            TextRule::Exact(text) => {
                report.note("Each value of a repeated header is tested on its own. The source tests the values joined by commas, which equal no single value.");
                (json!({"header": name, "equals": text}), false)
            }
            TextRule::Prefix(text) if !text.is_empty() => {
                (json!({"header": name, "prefix": text}), false)
            }
            // Envoy looks at the values of a repeated header joined by commas.
            TextRule::Contains(text) if !text.is_empty() && !text.contains(',') => {
                (json!({"header": name, "contains": text}), false)
            }
            TextRule::Suffix(text) if negated && !text.is_empty() && !text.contains(',') => {
                (json!({"header": name, "contains": text}), false)
            }
            _ => return no("headers have the tests equals, in, contains, prefix and exists here"),
        };
        if negated {
            match &text.rule {
                TextRule::Any | TextRule::NonEmpty => {
                    return no("there is no test for an absent header");
                }
                // Two values could be the text when Envoy joins them by a comma.
                TextRule::Exact(text) | TextRule::Prefix(text) if text.contains(',') => {
                    return no("the values of a repeated header are not joined here");
                }
                _ => {}
            }
            // A native `invert_match` needs the header, too.
            if !matches!(leaf.kind, Kind::Header { invert: true, .. }) {
                Self::list_missing(leaf, "header", report);
            }
        }
        Ok(if inverted != negated {
            json!({ "not": test })
        } else {
            test
        })
    }

    /// The SPIFFE IDs that satisfy one of the tests.
    pub(super) fn peers(
        &self,
        leaf: &Leaf,
        tests: &[PeerTest],
        report: &mut Report,
    ) -> Vec<String> {
        let domain = self.trust_domain;
        let mut peers: Vec<String> = Vec::new();
        let mut narrowed = false;
        for test in tests {
            let found: Vec<String> = match test {
                PeerTest::AnyName | PeerTest::AnyTls => {
                    narrowed = true;
                    vec![format!("spiffe://{domain}/*")]
                }
                PeerTest::Namespace(namespace) => {
                    vec![format!("spiffe://{domain}/ns/{namespace}/*")]
                }
                PeerTest::ServiceAccount { namespace, name } => {
                    vec![format!("spiffe://{domain}/ns/{namespace}/sa/{name}")]
                }
                PeerTest::Name(text) if text.ignore_case => Vec::new(),
                PeerTest::Name(text) => match &text.rule {
                    TextRule::Exact(name) => vec![name.clone()],
                    TextRule::Prefix(prefix) if prefix.ends_with('/') => vec![format!("{prefix}*")],
                    TextRule::Prefix(prefix) => {
                        narrowed = true;
                        vec![prefix.clone(), format!("{prefix}/*")]
                    }
                    TextRule::Any | TextRule::NonEmpty => {
                        narrowed = true;
                        vec![format!("spiffe://{domain}/*")]
                    }
                    _ => Vec::new(),
                },
            };
            let valid: Vec<String> = found
                .into_iter()
                .filter(|peer| PeerPattern::parse(peer).is_ok())
                .collect();
            if valid.is_empty() {
                report.list(&leaf.place, &leaf.text, "`peers` are SPIFFE IDs, with `/*` at the end for all below; what only this allows is denied");
            }
            if matches!(
                test,
                PeerTest::Namespace(_) | PeerTest::ServiceAccount { .. }
            ) {
                report.note(&format!("Namespaces and service accounts are those of the trust domain {domain}; --trust-domain names another."));
            }
            for peer in valid {
                if !peers.contains(&peer) {
                    peers.push(peer);
                }
            }
        }
        if narrowed && !peers.is_empty() {
            let why = format!(
                "`peers` are SPIFFE IDs, with `/*` at the end for all below: taken as {}",
                peers.join(", ")
            );
            report.list(&leaf.place, &leaf.text, &why);
        }
        peers
    }

    /// Tests that hold only for peers that do not satisfy a test.
    fn not_peer(&self, test: &PeerTest) -> Result<Vec<Value>, Untranslated> {
        let domain = self.trust_domain;
        let within = json!({"peer": format!("spiffe://{domain}/*")});
        let excluded = match test {
            PeerTest::Name(text) if !text.ignore_case => match &text.rule {
                TextRule::Exact(name) => Some((name.clone(), false)),
                TextRule::Prefix(prefix) if prefix.ends_with('/') => {
                    Some((format!("{prefix}*"), false))
                }
                _ => None,
            },
            PeerTest::Namespace(namespace) => {
                Some((format!("spiffe://{domain}/ns/{namespace}/*"), true))
            }
            PeerTest::Name(_)
            | PeerTest::AnyName
            | PeerTest::AnyTls
            | PeerTest::ServiceAccount { .. } => None,
        };
        match excluded {
            Some((peer, needs_domain)) if PeerPattern::parse(&peer).is_ok() => {
                let mut tests = vec![json!({"not": {"peer": peer}})];
                if needs_domain {
                    tests.insert(0, within);
                }
                Ok(tests)
            }
            _ => no("no SPIFFE IDs say which peers it excludes"),
        }
    }

    /// The text that a claim which is split at spaces must have, if the tests say only that.
    pub(super) fn scope(tests: &[ValueTest]) -> Option<&String> {
        let mut only: Option<&String> = None;
        for test in tests {
            let (ValueTest::Text(text) | ValueTest::Member(text)) = test else {
                return None;
            };
            match &text.rule {
                TextRule::Exact(exact)
                    if !text.ignore_case
                        && !exact.is_empty()
                        && !exact.contains(' ')
                        && only.is_none_or(|only| only == exact) =>
                {
                    only = Some(exact);
                }
                _ => return None,
            }
        }
        only
    }
}

/// A test that holds if one of the tests does.
fn claim(leaf: &Leaf, path: &[String], tests: &[ValueTest], report: &mut Report) -> Translation {
    let claim = name(path);
    let mut exact: Vec<&str> = Vec::new();
    let mut any: Vec<Value> = Vec::new();
    let mut skipped = false;
    for test in tests {
        match test {
            ValueTest::Text(text) if !text.ignore_case => match &text.rule {
                TextRule::Exact(text) => exact.push(text),
                TextRule::Prefix(text) if !text.is_empty() => {
                    any.push(json!({"claim": claim, "prefix": text}));
                }
                // Holds for strings only.
                TextRule::NonEmpty => any.push(json!({"not": {"claim": claim, "equals": ""}})),
                _ => skipped = true,
            },
            ValueTest::Member(text) if !text.ignore_case => match &text.rule {
                TextRule::Exact(text) => any.push(json!({"claim": claim, "contains": text})),
                _ => skipped = true,
            },
            ValueTest::Bool(flag) => any.push(json!({"claim": claim, "equals": flag})),
            ValueTest::Number(number) => any.push(json!({"claim": claim, "equals": number})),
            ValueTest::Range(start, end) => any.push(json!({"all": [
                {"claim": claim, "at_least": start},
                {"not": {"claim": claim, "at_least": end}},
            ]})),
            ValueTest::Present => any.push(json!({"claim": claim, "exists": true})),
            ValueTest::Text(_) | ValueTest::Member(_) | ValueTest::Other => skipped = true,
        }
    }
    match exact.as_slice() {
        [] => {}
        [only] => any.insert(0, json!({"claim": claim, "equals": only})),
        values => any.insert(0, json!({"claim": claim, "in": values})),
    }
    if any.is_empty() {
        return no("claims have no such test here");
    }
    if skipped {
        report.list(&leaf.place, &leaf.text, "claims that are strings have no test for their end, and members of lists are only compared as a whole; what only such a value allows is denied");
    }
    Ok(match any.len() {
        1 => any.pop().unwrap_or_default(),
        _ => json!({ "any": any }),
    })
}

/// A test that holds if none of the tests does: for strings those of strings, for lists those of lists.
fn not_claim(path: &[String], tests: &[ValueTest]) -> Translation {
    let claim = name(path);
    let (mut strings, mut lists, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for test in tests {
        match test {
            ValueTest::Text(text) if !text.ignore_case => match &text.rule {
                TextRule::Exact(text) => {
                    strings.push(json!({"not": {"claim": claim, "equals": text}}))
                }
                TextRule::Prefix(text) if !text.is_empty() => {
                    strings.push(json!({"not": {"claim": claim, "prefix": text}}));
                }
                _ => {
                    return no("a claim has no test that says for certain that this does not hold");
                }
            },
            ValueTest::Member(text) if !text.ignore_case => match &text.rule {
                TextRule::Exact(text) => {
                    lists.push(json!({"not": {"claim": claim, "contains": text}}))
                }
                _ => {
                    return no("a claim has no test that says for certain that this does not hold");
                }
            },
            ValueTest::Bool(flag) => others.push(json!({"not": {"claim": claim, "equals": flag}})),
            ValueTest::Number(number) => {
                others.push(json!({"not": {"claim": claim, "equals": number}}))
            }
            ValueTest::Range(start, end) => others.push(json!({"any": [
                {"not": {"claim": claim, "at_least": start}},
                {"claim": claim, "at_least": end},
            ]})),
            ValueTest::Text(_) | ValueTest::Member(_) | ValueTest::Present | ValueTest::Other => {
                return no("a claim has no test that says for certain that this does not hold");
            }
        }
    }
    let group = |mut tests: Vec<Value>| match tests.len() {
        0 => None,
        1 => tests.pop(),
        _ => Some(json!({ "all": tests })),
    };
    let mut any: Vec<Value> = [group(strings), group(lists), group(others)]
        .into_iter()
        .flatten()
        .collect();
    Ok(match any.len() {
        1 => any.pop().unwrap_or_default(),
        _ => json!({ "any": any }),
    })
}

/// A claim as the config names it.
fn name(path: &[String]) -> Value {
    match path {
        [only] => json!(only),
        path => json!(path),
    }
}
