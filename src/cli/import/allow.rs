//! What remains of a condition, as the alternatives of a route's `allow`.

use serde_json::{Value, json};

use super::alternative::Alternative;
use super::expr::{Kind, Leaf, Residual};
use super::listed::Report;
use super::tests_of::{Translator, Untranslated};

/// Alternatives of one route at most.
const MAX_ALTERNATIVES: usize = 256;

/// Nesting of `when` at most; the config allows 16 levels.
const MAX_DEPTH: usize = 14;

/// The alternatives of what remains; none if it never holds.
pub(super) fn alternatives(
    residual: &Residual,
    translator: &Translator<'_>,
    report: &mut Report,
) -> Vec<Alternative> {
    match residual {
        Residual::True => vec![Alternative::default()],
        Residual::False => Vec::new(),
        Residual::Any(parts) => {
            let mut all: Vec<Alternative> = Vec::new();
            for part in parts {
                for alternative in alternatives(part, translator, report) {
                    if !all.contains(&alternative) {
                        all.push(alternative);
                    }
                }
            }
            all
        }
        Residual::All(parts) => conjunction(parts, translator, report),
        Residual::Leaf(leaf, negated) => of_leaf(leaf, *negated, translator, report)
            .into_iter()
            .collect(),
    }
}

fn conjunction(
    parts: &[Residual],
    translator: &Translator<'_>,
    report: &mut Report,
) -> Vec<Alternative> {
    let mut all = vec![Alternative::default()];
    for part in parts {
        let choices = if is_test(part) {
            match test(part, translator, report, 0) {
                Some((test, token, leaf)) => vec![Alternative::of_test(test, token, leaf)],
                None => Vec::new(),
            }
        } else {
            alternatives(part, translator, report)
        };
        let mut next: Vec<Alternative> = Vec::new();
        for one in &all {
            for other in &choices {
                match one.and(other) {
                    Some(both) if next.len() < MAX_ALTERNATIVES => {
                        if !next.contains(&both) {
                            next.push(both);
                        }
                    }
                    Some(_) => {
                        let (place, text) = first_leaf(part);
                        report.list(&place, &text, "the combinations of its conditions are more than 256 alternatives; the others are left out");
                    }
                    None => {
                        let (place, text) = first_leaf(part);
                        report.list(&place, &text, "one alternative can ask for scopes of one claim only; the combination is left out");
                    }
                }
            }
        }
        all = next;
    }
    all
}

fn of_leaf(
    leaf: &Leaf,
    negated: bool,
    translator: &Translator<'_>,
    report: &mut Report,
) -> Option<Alternative> {
    match (&leaf.kind, negated) {
        (Kind::Token, false) => Some(Alternative {
            token: true,
            ..Alternative::default()
        }),
        (Kind::Peer(tests), false) => {
            let peers = translator.peers(leaf, tests, report);
            (!peers.is_empty()).then(|| Alternative {
                peers: Some(peers),
                ..Alternative::default()
            })
        }
        (
            Kind::Claim {
                path,
                tests,
                spaces: true,
            },
            false,
        ) => match Translator::scope(tests) {
            Some(only) => Some(Alternative {
                token: true,
                scopes: Some((path.clone(), vec![only.clone()])),
                ..Alternative::default()
            }),
            None => {
                lost(
                    leaf,
                    negated,
                    "a claim that is split at spaces can only be tested for one text here",
                    report,
                );
                None
            }
        },
        _ => {
            let (test, token, leaf) = test_of_leaf(leaf, negated, translator, report)?;
            Some(Alternative::of_test(test, token, leaf))
        }
    }
}

/// Whether it can be part of a `when`: it has no peers, scopes or bare tokens.
fn is_test(residual: &Residual) -> bool {
    match residual {
        Residual::All(parts) | Residual::Any(parts) => parts.iter().all(is_test),
        Residual::Leaf(leaf, negated) => {
            *negated
                || !matches!(
                    leaf.kind,
                    Kind::Token | Kind::Peer(_) | Kind::Claim { spaces: true, .. }
                )
        }
        Residual::True | Residual::False => false,
    }
}

type Tested = (Value, bool, (String, String));

/// The test, whether it needs a token in the source as well, and where it comes from.
fn test(
    residual: &Residual,
    translator: &Translator<'_>,
    report: &mut Report,
    depth: usize,
) -> Option<Tested> {
    if depth > MAX_DEPTH {
        let (place, text) = first_leaf(residual);
        report.list(
            &place,
            &text,
            "it is nested too deep; requests that only this allows are denied",
        );
        return None;
    }
    let below = depth.saturating_add(1);
    match residual {
        Residual::Leaf(leaf, negated) => test_of_leaf(leaf, *negated, translator, report),
        Residual::All(parts) => {
            let parts: Vec<Option<Tested>> = parts
                .iter()
                .map(|part| test(part, translator, report, below))
                .collect();
            let parts: Vec<Tested> = parts.into_iter().collect::<Option<_>>()?;
            let token = parts.iter().any(|(_, token, _)| *token);
            combine("all", parts, token)
        }
        Residual::Any(parts) => {
            let parts: Vec<Tested> = parts
                .iter()
                .filter_map(|part| test(part, translator, report, below))
                .collect();
            let token = parts.iter().all(|(_, token, _)| *token);
            combine("any", parts, token)
        }
        Residual::True | Residual::False => None,
    }
}

fn combine(key: &str, parts: Vec<Tested>, token: bool) -> Option<Tested> {
    let from = parts
        .iter()
        .find(|(_, token, _)| !token)
        .or(parts.first())?
        .2
        .clone();
    let mut tests: Vec<Value> = Vec::new();
    for (test, _, _) in parts {
        match test.get(key).and_then(Value::as_array) {
            Some(inner) => tests.extend(inner.iter().cloned()),
            None => tests.push(test),
        }
    }
    let test = match tests.len() {
        1 => tests.pop()?,
        _ => json!({ key: tests }),
    };
    Some((test, token, from))
}

fn test_of_leaf(
    leaf: &Leaf,
    negated: bool,
    translator: &Translator<'_>,
    report: &mut Report,
) -> Option<Tested> {
    match translator.test(leaf, negated, report) {
        Ok(test) => {
            let token = matches!(leaf.kind, Kind::Claim { .. } | Kind::Issuers(_)) && !negated;
            Some((test, token, (leaf.place.to_string(), leaf.text.clone())))
        }
        Err(Untranslated(why)) => {
            lost(leaf, negated, &why, report);
            None
        }
    }
}

fn lost(leaf: &Leaf, negated: bool, why: &str, report: &mut Report) {
    let (what, then) = if negated {
        (format!("not {}", leaf.text), "what it could deny is denied")
    } else {
        (leaf.text.clone(), "what only this allows is denied")
    };
    report.list(&leaf.place, &what, &format!("{why}; {then}"));
}

fn first_leaf(residual: &Residual) -> (String, String) {
    match residual {
        Residual::Leaf(leaf, _) => (leaf.place.to_string(), leaf.text.clone()),
        Residual::All(parts) | Residual::Any(parts) => {
            parts.first().map(first_leaf).unwrap_or_default()
        }
        Residual::True | Residual::False => (String::new(), String::new()),
    }
}
