//! The check of a request against the alternatives of a route.

use super::explain::explain;
use super::{Access, AccessRequest, Alternative, Basis, Binding, Conditions, Scopes};
use crate::claims::{ClaimPath, Claims};
use crate::denial::{Denial, StepUp};
use crate::json::Json;
use crate::policy::condition::{Test, TestResult, evaluate, step_up};
use crate::policy::peer::PeerPattern;
use crate::policy::roles::RequiredRole;

/// Checks the alternatives in order; the first that holds grants access.
///
/// # Errors
/// The [`Denial`] of the closest alternative: the first that a step-up would satisfy, else the first
/// with the most passed tests.
pub(crate) fn check<P: Copy>(
    access: &Access,
    principal: Option<P>,
    request: &AccessRequest<'_>,
) -> Result<Basis<P>, Box<Denial>> {
    let mut closest: Option<(usize, FailedTest<'_>)> = None;
    for alternative in access.alternatives() {
        let result = match (alternative, principal) {
            (Alternative::Public, _) => Ok(Basis::Public),
            (Alternative::Authenticated, Some(principal)) => Ok(Basis::Claims(principal)),
            (Alternative::Conditions(conditions), _) if conditions.is_peers_only() => {
                check_peers(&conditions.peers, request)
                    .map(|()| Basis::Peer)
                    .map_err(|failed| (0, failed))
            }
            (Alternative::Conditions(conditions), Some(principal)) => {
                check_conditions(conditions, request).map(|()| Basis::Claims(principal))
            }
            // Ranks above a peer that does not match, because claims could give access.
            (_, None) => Err((1, FailedTest::ClaimsMissing)),
        };
        match result {
            Ok(basis) => return Ok(basis),
            Err((rank, failed)) => {
                if closest.as_ref().is_none_or(|(best, _)| rank > *best) {
                    closest = Some((rank, failed));
                }
            }
        }
    }
    // `Access` always has an alternative. Without one, access is denied.
    let failed = closest.map_or(FailedTest::ClaimsMissing, |(_, failed)| failed);
    Err(explain(failed, request))
}

/// The test that failed in an alternative. It is explained only if the alternative is the closest.
pub(super) enum FailedTest<'a> {
    ClaimsMissing,
    Issuer(&'a [String]),
    Audience(&'a [String]),
    AnyRole(&'a [RequiredRole]),
    AllRoles(&'a [RequiredRole]),
    Scopes(&'a Scopes),
    Binding(&'a Binding),
    Peer(&'a [PeerPattern]),
    When(&'a Test),
    StepUp(&'a Test, StepUp),
}

/// Higher than any number of passed tests.
const STEP_UP_RANK: usize = usize::MAX;

/// Checks all conditions in this order: issuer, audience, roles, scopes, bindings, peer, `when`. Returns
/// the first failed test and the number of tests that passed before it.
fn check_conditions<'a>(
    conditions: &'a Conditions,
    request: &AccessRequest<'_>,
) -> Result<(), (usize, FailedTest<'a>)> {
    let Some(claims) = request.claims else {
        return Err((1, FailedTest::ClaimsMissing));
    };
    let mut passed = 0_usize;
    let mut test = |is_set: bool, holds: bool, failed: FailedTest<'a>| {
        if is_set && !holds {
            return Err((passed, failed));
        }
        passed = passed.saturating_add(usize::from(is_set));
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
    let is_set = !issuers.is_empty();
    let holds = is_set && has_issuer(issuers, request);
    test(is_set, holds, FailedTest::Issuer(issuers))?;
    let is_set = !audiences.is_empty();
    let holds = is_set && claims.has_audience(audiences);
    test(is_set, holds, FailedTest::Audience(audiences))?;
    let has_role = |need: &RequiredRole| request.roles.is_some_and(|roles| roles.has(need));
    let holds = any_role.iter().any(has_role);
    test(!any_role.is_empty(), holds, FailedTest::AnyRole(any_role))?;
    let holds = all_roles.iter().all(has_role);
    test(
        !all_roles.is_empty(),
        holds,
        FailedTest::AllRoles(all_roles),
    )?;
    if let Some(scopes) = scopes {
        let has = scopes_in(claims, &scopes.claim);
        let holds = scopes.all.iter().all(|scope| has.contains(&scope.as_str()));
        test(true, holds, FailedTest::Scopes(scopes))?;
    }
    for binding in bind {
        let holds = check_binding(binding, claims, request) == TestResult::Holds;
        test(true, holds, FailedTest::Binding(binding))?;
    }
    if !peers.is_empty() {
        let holds = check_peers(peers, request).is_ok();
        test(true, holds, FailedTest::Peer(peers))?;
    }
    if let Some(test) = when
        && evaluate(test, request) != TestResult::Holds
    {
        return Err(match step_up(test, request) {
            Some(step_up) => (STEP_UP_RANK, FailedTest::StepUp(test, step_up)),
            None => (passed, FailedTest::When(test)),
        });
    }
    Ok(())
}

fn check_peers<'a>(
    patterns: &'a [PeerPattern],
    request: &AccessRequest<'_>,
) -> Result<(), FailedTest<'a>> {
    let all_covered = request
        .peers
        .iter()
        .all(|peer| patterns.iter().any(|pattern| pattern.covers(peer)));
    if request.peers.is_empty() || !all_covered {
        return Err(FailedTest::Peer(patterns));
    }
    Ok(())
}

fn has_issuer(issuers: &[String], request: &AccessRequest<'_>) -> bool {
    request
        .issuer
        .is_some_and(|issuer| issuers.iter().any(|known| known == issuer))
}

/// The scopes in a claim; none if it is of another type, or a list with a member that is not a string.
pub(super) fn scopes_in<'c>(claims: &'c Claims, path: &ClaimPath) -> Vec<&'c str> {
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

/// Compares strings only: a number never equals a variable. An empty variable equals nothing.
pub(super) fn check_binding(
    binding: &Binding,
    claims: &Claims,
    request: &AccessRequest<'_>,
) -> TestResult {
    let Some(variable) = request.variables.get(&binding.variable) else {
        return TestResult::Missing;
    };
    let is_value = |text: &str| *text.as_bytes() == *variable;
    let equal = match claims.at(&binding.claim) {
        Some(Json::String(text)) => is_value(text),
        Some(Json::Array(items)) => items.iter().any(|item| item.as_str().is_some_and(is_value)),
        _ => return TestResult::Missing,
    };
    if equal && !variable.is_empty() {
        TestResult::Holds
    } else {
        TestResult::Fails
    }
}
