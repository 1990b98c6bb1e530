//! The principal of a request, as the policy sees it.

use super::roles::RoleSet;
use crate::claims::Claims;

/// A user or service with claims.
///
/// The claims need not be verified: the config's tests have principals, too. Only a verified principal
/// gets a permit (see `gate::permit`).
pub(crate) trait Principal {
    /// The claims.
    fn claims(&self) -> &Claims;
    /// The roles in the claims, resolved by the policy's role model.
    fn roles(&self) -> &RoleSet;
    /// The issuer of the claims: the token's `iss`.
    fn issuer(&self) -> &str;
}
