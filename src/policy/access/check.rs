//! The check of a subject against alternatives.

use crate::claims::{ClaimPath, Claims};
use crate::denial::Reason;
use crate::json::Json;

use super::{Access, Alternative, Binding, Conditions, Grant, Means, Scopes, Subject};
use crate::policy::condition::{Outcome, evaluate, failing, step_up};
use crate::policy::explanation::{Explanation, Names, Refusal, StepUp, cut};
use crate::policy::peer::PeerPattern;
use crate::policy::roles::RequiredRole;

/// Whether one of the alternatives lets the subject through; the first that does is the grant's.
///
/// # Errors
/// The [`Refusal`] of the alternative that got furthest: one that a step-up would satisfy before all
/// others, then the one with the most tests passed, then the first.
pub(crate) fn check(access: &Access, subject: &Subject<'_>) -> Result<Grant, Refusal> {
    let mut furthest: Option<(usize, Failure<'_>)> = None;
    for (index, alternative) in access.alternatives().iter().enumerate() {
        let tried = match (alternative, subject.claims) {
            (Alternative::Public, _) => Ok(Means::Public),
            (Alternative::Authenticated, Some(_)) => Ok(Means::Claims),
            (Alternative::Conditions(conditions), Some(claims)) => {
                try_all(conditions, claims, subject)
            }
            (Alternative::Conditions(conditions), None) if conditions.is_peers_only() => {
                try_peers(&conditions.peers, subject)
                    .map(|()| Means::Peer)
                    .map_err(|failure| (0, failure))
            }
            // Outranks a peer that does not fit: claims could have helped.
            (_, None) => Err((1, Failure::ClaimsMissing)),
        };
        match tried {
            Ok(means) => {
                return Ok(Grant {
                    alternative: index,
                    means,
                });
            }
            Err((rank, failure)) => {
                if furthest.as_ref().is_none_or(|(best, _)| rank > *best) {
                    furthest = Some((rank, failure));
                }
            }
        }
    }
    // There is always an alternative; without one nobody could pass.
    let failure = furthest.map_or(Failure::ClaimsMissing, |(_, failure)| failure);
    Err(explain(failure, subject))
}

/// The test that an alternative failed; cheap, as only one of them is ever explained.
enum Failure<'a> {
    ClaimsMissing,
    Issuer(&'a [String]),
    Audience(&'a [String]),
    AnyRole(&'a [RequiredRole]),
    AllRoles(&'a [RequiredRole]),
    Scopes(&'a Scopes),
    Binding(&'a Binding),
    Peer(&'a [PeerPattern]),
    When(&'a crate::policy::condition::Test),
    StepUp(&'a crate::policy::condition::Test, StepUp),
}

/// Above any number of tests passed.
const STEP_UP_RANK: usize = usize::MAX;

/// All conditions, in the order: issuer, audience, roles, scopes, bindings, peer, `when`.
fn try_all<'a>(
    conditions: &'a Conditions,
    claims: &Claims,
    subject: &Subject<'_>,
) -> Result<Means, (usize, Failure<'a>)> {
    let mut passed = 0_usize;
    let mut ask = |asked: bool, held: bool, failure: Failure<'a>| {
        if asked && !held {
            return Err((passed, failure));
        }
        passed = passed.saturating_add(usize::from(asked));
        Ok(())
    };
    let Conditions {
        any_role,
        all_roles,
        issuers,
        audiences,
        scopes,
        bind,
        peers,
        when,
    } = conditions;
    let asked = !issuers.is_empty();
    let held = asked && issuer_is_one_of(issuers, subject);
    ask(asked, held, Failure::Issuer(issuers))?;
    let asked = !audiences.is_empty();
    let held = asked && audience_is_one_of(audiences, claims);
    ask(asked, held, Failure::Audience(audiences))?;
    if !any_role.is_empty() || !all_roles.is_empty() {
        let resolved;
        let roles = match subject.roles {
            Some(roles) => roles,
            None => {
                resolved = subject.role_model.roles_of(claims);
                &resolved
            }
        };
        let held = any_role.iter().any(|need| roles.has(need));
        ask(!any_role.is_empty(), held, Failure::AnyRole(any_role))?;
        let held = all_roles.iter().all(|need| roles.has(need));
        ask(!all_roles.is_empty(), held, Failure::AllRoles(all_roles))?;
    }
    if let Some(scopes) = scopes {
        let has = scopes_in(claims, &scopes.claim);
        let held = scopes.all.iter().all(|scope| has.contains(&scope.as_str()));
        ask(true, held, Failure::Scopes(scopes))?;
    }
    for binding in bind {
        let held = binding_holds(binding, claims, subject) == Outcome::Holds;
        ask(true, held, Failure::Binding(binding))?;
    }
    if !peers.is_empty() {
        let held = try_peers(peers, subject).is_ok();
        ask(true, held, Failure::Peer(peers))?;
    }
    if let Some(test) = when
        && evaluate(test, subject) != Outcome::Holds
    {
        return Err(match step_up(test, subject) {
            Some(step_up) => (STEP_UP_RANK, Failure::StepUp(test, step_up)),
            None => (passed, Failure::When(test)),
        });
    }
    Ok(if conditions.is_peers_only() {
        Means::Peer
    } else {
        Means::Claims
    })
}

fn try_peers<'a>(patterns: &'a [PeerPattern], subject: &Subject<'_>) -> Result<(), Failure<'a>> {
    let all_covered = subject
        .peers
        .iter()
        .all(|peer| patterns.iter().any(|pattern| pattern.covers(peer)));
    if subject.peers.is_empty() || !all_covered {
        return Err(Failure::Peer(patterns));
    }
    Ok(())
}

fn issuer_is_one_of(issuers: &[String], subject: &Subject<'_>) -> bool {
    subject
        .issuer
        .is_some_and(|issuer| issuers.iter().any(|known| known == issuer))
}

/// RFC 7519 §4.1.3: a string or a list of strings.
fn audience_is_one_of(audiences: &[String], claims: &Claims) -> bool {
    let is_one = |value: &Json| {
        value
            .as_str()
            .is_some_and(|value| audiences.iter().any(|known| known == value))
    };
    match claims.get("aud") {
        Some(Json::Array(items)) => items.iter().any(is_one),
        Some(value) => is_one(value),
        None => false,
    }
}

/// None from a claim of another type, or a list with a member that is no string.
fn scopes_in<'c>(claims: &'c Claims, path: &ClaimPath) -> Vec<&'c str> {
    match claims.at(path) {
        Some(Json::String(text)) => text.split(' ').filter(|scope| !scope.is_empty()).collect(),
        Some(Json::Array(items)) => items
            .iter()
            .map(Json::as_str)
            .collect::<Option<Vec<_>>>()
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Strings only: that a number is written like the variable does not make it the same. An empty
/// rest of a path equals nothing.
fn binding_holds(binding: &Binding, claims: &Claims, subject: &Subject<'_>) -> Outcome {
    let Some(variable) = subject.variables.get(&binding.variable) else {
        return Outcome::Missing;
    };
    let is_value = |text: &str| *text.as_bytes() == *variable;
    let held = match claims.at(&binding.claim) {
        Some(Json::String(text)) => is_value(text),
        Some(Json::Array(items)) => items.iter().any(|item| item.as_str().is_some_and(is_value)),
        _ => return Outcome::Missing,
    };
    if held && !variable.is_empty() {
        Outcome::Holds
    } else {
        Outcome::Fails
    }
}

#[cold]
fn explain(failure: Failure<'_>, subject: &Subject<'_>) -> Refusal {
    let strings = |names: &[String]| Names::of(names.iter().map(String::as_str));
    let role = |needs: &[RequiredRole], any: bool| Explanation::Role {
        has: subject.claims.map_or_else(Names::default, |claims| {
            Names::of(subject.role_model.names_in(claims))
        }),
        needs: Names::of(needs.iter().map(RequiredRole::name)),
        any,
    };
    let (reason, explanation) = match failure {
        Failure::ClaimsMissing => (Reason::ClaimsMissing, Explanation::ClaimsMissing),
        Failure::Issuer(issuers) => (
            Reason::IssuerRoute,
            Explanation::Issuer {
                needs: strings(issuers),
            },
        ),
        Failure::Audience(audiences) => (
            Reason::AudienceRoute,
            Explanation::Audience {
                needs: strings(audiences),
            },
        ),
        Failure::AnyRole(needs) => (Reason::Role, role(needs, true)),
        Failure::AllRoles(needs) => (Reason::Role, role(needs, false)),
        Failure::Scopes(scopes) => (
            Reason::Scope,
            Explanation::Scope {
                has: subject.claims.map_or_else(Names::default, |claims| {
                    Names::of(scopes_in(claims, &scopes.claim))
                }),
                needs: strings(&scopes.all),
            },
        ),
        Failure::Binding(binding) => (
            Reason::BindingRoute,
            Explanation::Binding {
                variable: binding.variable.clone(),
                value: subject
                    .variables
                    .get(&binding.variable)
                    .map(|value| cut(&String::from_utf8_lossy(&value))),
                claim: binding.claim.clone(),
                missing: subject.claims.is_none_or(|claims| {
                    binding_holds(binding, claims, subject) == Outcome::Missing
                }),
            },
        ),
        Failure::Peer(patterns) => {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            (
                Reason::Peer,
                Explanation::Peer {
                    needs: strings(&patterns),
                    missing: subject.peers.is_empty(),
                },
            )
        }
        Failure::When(test) => {
            let (part, outcome) = failing(test, subject);
            (
                Reason::Condition,
                Explanation::Condition {
                    test: part.to_string(),
                    missing: outcome == Outcome::Missing,
                },
            )
        }
        Failure::StepUp(test, step_up) => {
            let (part, _) = failing(test, subject);
            (
                Reason::StepUp,
                Explanation::StepUp {
                    test: part.to_string(),
                    step_up,
                },
            )
        }
    };
    Refusal {
        reason,
        explanation,
    }
}
