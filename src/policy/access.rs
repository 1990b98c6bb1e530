//! Who may use a route: alternatives, one of which suffices, and the check of a request against them.

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

/// Alternatives, at least one. One that holds suffices.
#[derive(Debug, Clone, PartialEq)]
pub struct Access(Box<[Alternative]>);

/// One way to be let through.
#[derive(Debug, Clone, PartialEq)]
pub enum Alternative {
    /// Everyone.
    Public,
    /// Everyone with verified claims.
    Authenticated,
    /// Those who meet every one of these.
    Conditions(Box<Conditions>),
}

/// Conditions, all of which must hold. An empty list asks for nothing.
///
/// They need verified claims, except where `peers` is the only one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// One of these roles.
    pub any_role: Vec<RequiredRole>,
    /// All of these roles.
    pub all_roles: Vec<RequiredRole>,
    /// Claims from one of these issuers.
    pub issuers: Vec<String>,
    /// Claims for one of these audiences.
    pub audiences: Vec<String>,
    /// Scopes, all of them.
    pub scopes: Option<Scopes>,
    /// Path variables that must equal a claim.
    pub bind: Vec<Binding>,
    /// An mTLS peer that one of these covers.
    pub peers: Vec<PeerPattern>,
    /// A further condition.
    pub when: Option<Test>,
}

/// Scopes that the claims must bring.
#[derive(Debug, Clone, PartialEq)]
pub struct Scopes {
    /// The claim: a string split at spaces (RFC 8693 §4.2), or a list of strings.
    pub claim: ClaimPath,
    /// All of these must be in it.
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

/// Why alternatives make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// No alternative.
    #[error("it is empty: write `public`, `authenticated` or conditions")]
    NoAlternative,
    /// Conditions that ask for nothing.
    #[error("alternative {0} asks for nothing: write `authenticated` if that is meant")]
    NoCondition(usize),
    /// An alternative that another one makes pointless.
    #[error(
        "alternative {unused} never decides, as `{by}` beside it lets the same requests pass: remove one of the two"
    )]
    NeverDecides {
        /// Its place.
        unused: usize,
        /// What makes it pointless: `public` or `authenticated`.
        by: &'static str,
    },
    /// Scopes of which none is asked for.
    #[error(
        "alternative {0}: `scopes.all` is empty: name at least one scope, or leave `scopes` out"
    )]
    NoScope(usize),
    /// A condition that makes no sense.
    #[error("alternative {index}: `when`: {error}")]
    When {
        /// The alternative's place.
        index: usize,
        /// What is wrong with it.
        error: TestError,
    },
}

/// Everything that an access check looks at.
#[derive(Clone, Copy)]
pub(crate) struct AccessRequest<'a> {
    /// The principal's claims, if there is a principal.
    pub(crate) claims: Option<&'a Claims>,
    /// The roles in the claims.
    pub(crate) roles: Option<&'a RoleSet>,
    /// The issuer of the claims.
    pub(crate) issuer: Option<&'a str>,
    /// How roles are found in claims.
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

/// What a passed check rests on. `P` is the principal.
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
    /// Alternatives, in the order in which they are tried.
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

    /// Whether everyone may pass, so that a bad token is no hindrance.
    pub fn is_public(&self) -> bool {
        self.0.contains(&Alternative::Public)
    }

    /// The names of all headers that any alternative looks at.
    pub fn tested_headers(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter_map(|alternative| match alternative {
                Alternative::Conditions(conditions) => conditions.when.as_ref(),
                Alternative::Public | Alternative::Authenticated => None,
            })
            .flat_map(Test::headers)
    }

    /// The names of the path variables that any alternative binds.
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
    /// Whether it can hold only for verified claims.
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
