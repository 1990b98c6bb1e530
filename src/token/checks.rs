//! The checks of a token except its signature. Those that depend on the time, the request or a revocation
//! are repeated for cached tokens.

use crate::claims::{ClaimPath, Claims};
use crate::denial::Reason;
use crate::json::Json;
use crate::token::Issuer;
use crate::token::verified::Times;
use crate::token::verify::LiveRequest;

type Check = Result<(), Reason>;

/// The issuer's `not_after` has not passed.
pub(super) fn issuer_in_force(issuer: &Issuer, now: u64) -> Check {
    demand(
        issuer.not_after.is_none_or(|end| now < end),
        Reason::IssuerUnknown,
    )
}

/// `exp`, `nbf`, `iat` and `max_age` (RFC 7519 §4.1.4 to §4.1.6). A token is valid if `now < exp + leeway`,
/// `now + leeway ≥ nbf`, `now + leeway ≥ iat` and `now − iat ≤ max_age + leeway`.
pub(super) fn times(issuer: &Issuer, times: &Times, now: u64) -> Check {
    let expiry = times.expiry.ok_or(Reason::ClaimRequired)?;
    demand(now < expiry.saturating_add(issuer.leeway), Reason::Expired)?;
    let latest = now.saturating_add(issuer.leeway);
    demand(
        times.not_before.is_none_or(|start| latest >= start),
        Reason::NotYetValid,
    )?;
    demand(
        times.issued_at.is_none_or(|issued| latest >= issued),
        Reason::NotYetValid,
    )?;
    if let Some(max_age) = issuer.max_age {
        let age = now.saturating_sub(times.issued_at.ok_or(Reason::ClaimRequired)?);
        demand(age <= max_age.saturating_add(issuer.leeway), Reason::TooOld)?;
    }
    Ok(())
}

/// `exp − iat` is at most `max_lifetime`.
pub(super) fn lifetime(issuer: &Issuer, times: &Times) -> Check {
    let Some(max_lifetime) = issuer.max_lifetime else {
        return Ok(());
    };
    let issued = times.issued_at.ok_or(Reason::ClaimRequired)?;
    let expiry = times.expiry.ok_or(Reason::ClaimRequired)?;
    demand(
        expiry.saturating_sub(issued) <= max_lifetime,
        Reason::TooOld,
    )
}

/// `typ` is the issuer's `type` (RFC 8725 §3.11).
pub(super) fn token_type(issuer: &Issuer, token_type: Option<&str>) -> Check {
    let expected = issuer.token_type.as_deref();
    demand(
        expected.is_none_or(|expected| token_type == Some(expected)),
        Reason::Type,
    )
}

/// One of the issuer's audiences is in `aud`.
pub(super) fn audience(issuer: &Issuer, claims: &Claims) -> Check {
    let accepted = issuer.audiences.as_deref();
    demand(
        accepted.is_none_or(|accepted| claims.has_audience(accepted)),
        Reason::Audience,
    )
}

/// The claims of `require` are present, as is the ID of a one-use token.
pub(super) fn required(issuer: &Issuer, claims: &Claims) -> Check {
    let all = issuer.require.iter().all(|path| claims.at(path).is_some());
    demand(all, Reason::ClaimRequired)?;
    let identified = issuer.one_use.as_ref().is_none_or(|one_use| {
        claims
            .at(&one_use.claim)
            .and_then(Json::as_str)
            .is_some_and(|id| !id.is_empty())
    });
    demand(identified, Reason::ClaimRequired)
}

/// The `kid` is not revoked; checked before any cryptography.
pub(super) fn kid_not_revoked(issuer: &Issuer, kid: Option<&str>) -> Check {
    demand(
        kid.is_none_or(|kid| !issuer.revoked.kids.contains(kid)),
        Reason::Revoked,
    )
}

/// `kid`, `sub` and `jti` are not revoked.
pub(super) fn not_revoked(issuer: &Issuer, kid: Option<&str>, claims: &Claims) -> Check {
    kid_not_revoked(issuer, kid)?;
    let revoked = &issuer.revoked;
    let listed = [("sub", &revoked.subjects), ("jti", &revoked.token_ids)]
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .any(|(name, list)| {
            claims
                .get(name)
                .and_then(Json::as_str)
                .is_some_and(|value| list.contains(value))
        });
    demand(!listed, Reason::Revoked)
}

/// The claims of `bind` are present and match the request.
pub(super) fn bound(issuer: &Issuer, claims: &Claims, live: &LiveRequest<'_>) -> Check {
    let equal = |path: &Option<ClaimPath>, same: &dyn Fn(&str) -> bool| {
        path.as_ref()
            .is_none_or(|path| claims.at(path).and_then(Json::as_str).is_some_and(same))
    };
    let bind = &issuer.bind;
    let holds = equal(&bind.method, &|method| method.as_bytes() == live.method)
        && equal(&bind.path, &|path| {
            path.as_bytes() == without_query(live.path)
        })
        && equal(&bind.path_and_query, &|path| path.as_bytes() == live.path)
        && equal(&bind.host, &|host| {
            host.as_bytes().eq_ignore_ascii_case(live.host)
        });
    demand(holds, Reason::BindingRequest)
}

/// `:path` without its query.
fn without_query(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'?').next().unwrap_or_default()
}

fn demand(holds: bool, otherwise: Reason) -> Check {
    if holds { Ok(()) } else { Err(otherwise) }
}
