//! Who may use a route: a list of alternatives, of which one must hold.

mod check;
mod explain;
mod peers;

use crate::claims::{ClaimPath, Claims};

pub(crate) use self::check::check;
use super::condition::{Test, TestError};
use super::peer::PeerPattern;
use super::roles::{RequiredRole, RoleModel, RoleSet};
use super::table::Variables;
use crate::headers::Headers;

/// The access rules of a route: one or more alternatives, of which one must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Access(Box<[Alternative]>);

/// One way to get access.
#[derive(Debug, Clone, PartialEq)]
pub enum Alternative {
    /// Everyone.
    Public,
    /// Everyone with verified claims.
    Authenticated,
    /// Principals (or peers) that meet these conditions.
    Conditions(Box<Conditions>),
}

/// Conditions, all of which must hold. An empty list is not a condition.
///
/// They require verified claims, unless `peers` is the only condition.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// At least one of these roles.
    pub any_role: Vec<RequiredRole>,
    /// All of these roles.
    pub all_roles: Vec<RequiredRole>,
    /// Claims from one of these issuers.
    pub issuers: Vec<String>,
    /// Claims for one of these audiences.
    pub audiences: Vec<String>,
    /// Required scopes.
    pub scopes: Option<Scopes>,
    /// Path variables that must equal a claim.
    pub bind: Vec<Binding>,
    /// An mTLS peer that one of these patterns matches.
    pub peers: Vec<PeerPattern>,
    /// A further condition.
    pub when: Option<Test>,
}

/// Scopes that the claims must contain.
#[derive(Debug, Clone, PartialEq)]
pub struct Scopes {
    /// The claim: a string split at spaces (RFC 8693 §4.2), or a list of strings.
    pub claim: ClaimPath,
    /// The required scopes.
    pub all: Vec<String>,
}

/// A path variable that must equal a string claim, or a member of a list claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The variable's name.
    pub variable: String,
    /// The claim.
    pub claim: ClaimPath,
}

/// Why a list of alternatives is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// No alternative.
    #[error("it is empty: write `public`, `authenticated` or conditions")]
    NoAlternative,
    /// An alternative without conditions.
    #[error("alternative {0} asks for nothing: write `authenticated` if that is meant")]
    NoCondition(usize),
    /// An alternative that can never decide because of another one.
    #[error(
        "alternative {unused} never decides, as `{by}` beside it lets the same requests pass: remove one of the two"
    )]
    NeverDecides {
        /// Its index.
        unused: usize,
        /// The other alternative: `public` or `authenticated`.
        by: &'static str,
    },
    /// An empty list of scopes.
    #[error(
        "alternative {0}: `scopes.all` is empty: name at least one scope, or leave `scopes` out"
    )]
    NoScope(usize),
    /// An invalid `when`.
    #[error("alternative {index}: `when`: {error}")]
    When {
        /// The alternative's index.
        index: usize,
        /// The error.
        error: TestError,
    },
}

/// The input of an access check.
#[derive(Clone, Copy)]
pub(crate) struct AccessRequest<'a> {
    /// The principal's claims, if there is a principal.
    pub(crate) claims: Option<&'a Claims>,
    /// The principal's roles.
    pub(crate) roles: Option<&'a RoleSet>,
    /// The issuer of the claims.
    pub(crate) issuer: Option<&'a str>,
    /// Finds the names of roles in claims.
    pub(crate) role_model: &'a RoleModel,
    /// The path's variables.
    pub(crate) variables: Variables<'a>,
    /// The request's headers.
    pub(crate) headers: &'a Headers<'a>,
    /// The SPIFFE IDs (URI SANs) in the certificate of the mTLS peer; empty without one. An X.509
    /// SVID has exactly one (X509-SVID §2); if there are more, each must pass on its own.
    pub(crate) peers: &'a [String],
    /// The time, in seconds since 1970.
    pub(crate) now: u64,
}

/// Why access was granted. `P` is the principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis<P> {
    /// The route is public.
    Public,
    /// The mTLS peer alone.
    Peer,
    /// The principal's claims.
    Claims(P),
    /// The request is a CORS preflight.
    Preflight,
}

impl Access {
    /// Creates access rules; the alternatives are checked in this order.
    ///
    /// # Errors
    /// The first [`AccessError`].
    pub fn new(alternatives: Vec<Alternative>) -> Result<Self, AccessError> {
        if alternatives.is_empty() {
            return Err(AccessError::NoAlternative);
        }
        for (index, alternative) in alternatives.iter().enumerate() {
            if let Alternative::Conditions(conditions) = alternative {
                conditions.validate(index)?;
            }
            let others = alternatives.iter().enumerate();
            let by = others
                .filter(|(other, by)| *other != index && (*by != alternative || *other < index))
                .find_map(|(_, by)| match by {
                    Alternative::Public => Some("public"),
                    Alternative::Authenticated if alternative.needs_claims() => {
                        Some("authenticated")
                    }
                    _ => None,
                });
            if let Some(by) = by {
                return Err(AccessError::NeverDecides { unused: index, by });
            }
        }
        Ok(Self(alternatives.into()))
    }

    /// Access for everyone.
    pub fn public() -> Self {
        Self([Alternative::Public].into())
    }

    /// Access for everyone with verified claims.
    pub fn authenticated() -> Self {
        Self([Alternative::Authenticated].into())
    }

    /// The alternatives.
    pub fn alternatives(&self) -> &[Alternative] {
        &self.0
    }

    /// Whether the route is public, so that an invalid token does not prevent access.
    pub fn is_public(&self) -> bool {
        self.0.contains(&Alternative::Public)
    }

    /// The names of all headers that an alternative tests.
    pub fn tested_headers(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter_map(|alternative| match alternative {
                Alternative::Conditions(conditions) => conditions.when.as_ref(),
                Alternative::Public | Alternative::Authenticated => None,
            })
            .flat_map(Test::headers)
    }

    /// The names of all path variables that an alternative binds.
    pub fn bound_variables(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .flat_map(|alternative| match alternative {
                Alternative::Conditions(conditions) => conditions.bind.as_slice(),
                Alternative::Public | Alternative::Authenticated => &[],
            })
            .map(|binding| &*binding.variable)
    }
}

impl Alternative {
    /// Whether it requires verified claims.
    pub fn needs_claims(&self) -> bool {
        match self {
            Self::Public => false,
            Self::Authenticated => true,
            Self::Conditions(conditions) => !conditions.is_peers_only(),
        }
    }
}

impl Conditions {
    fn is_peers_only(&self) -> bool {
        let Self {
            any_role,
            all_roles,
            issuers,
            audiences,
            scopes,
            bind,
            peers,
            when,
        } = self;
        any_role.is_empty()
            && all_roles.is_empty()
            && issuers.is_empty()
            && audiences.is_empty()
            && scopes.is_none()
            && bind.is_empty()
            && !peers.is_empty()
            && when.is_none()
    }

    fn validate(&self, index: usize) -> Result<(), AccessError> {
        if *self == Self::default() {
            return Err(AccessError::NoCondition(index));
        }
        if self
            .scopes
            .as_ref()
            .is_some_and(|scopes| scopes.all.is_empty())
        {
            return Err(AccessError::NoScope(index));
        }
        match &self.when {
            Some(test) => test
                .validate()
                .map_err(|error| AccessError::When { index, error }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
