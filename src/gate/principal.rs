//! Who makes a request: a verified token, and what the config derives from its claims.

use std::cell::OnceCell;
use std::rc::Rc;

use super::edits::Edit;
use crate::claims::Claims;
use crate::config::Config;
use crate::correlation::CorrelationId;
use crate::identity::{self, IdentityHeader};
use crate::json::Json;
use crate::policy::principal::Principal;
use crate::policy::roles::{RoleModel, RoleSet};
use crate::record::{Subject, keyed_hash};
use crate::token::Verified;

/// The principal of a verified token. Clones share everything.
#[derive(Debug, Clone)]
pub(super) struct VerifiedPrincipal {
    pub(super) verified: Verified<Rc<Derived>>,
    derived: Rc<Derived>,
}

/// What one config derives from a token's claims: computed once, and kept as long as the token is
/// cached.
#[derive(Debug)]
pub(crate) struct Derived {
    roles: RoleSet,
    signed_id: Option<CorrelationId>,
    /// The values of the identity headers, in the order of the config.
    identity: Box<[Option<Rc<[u8]>>]>,
    subject: Option<Rc<str>>,
    cached_edits: OnceCell<Rc<[Edit]>>,
}

impl VerifiedPrincipal {
    /// The principal of a token; `subject_key` is the key of the hash that logs show of subjects.
    pub(super) fn new(
        verified: Verified<Rc<Derived>>,
        config: &Config,
        subject_key: Option<&[u8]>,
    ) -> Self {
        let derived = verified.derived(|claims| Rc::new(Derived::new(claims, config, subject_key)));
        let derived = Rc::clone(derived);
        Self { verified, derived }
    }

    /// The correlation ID in the claims.
    pub(super) fn signed_id(&self) -> Option<&CorrelationId> {
        self.derived.signed_id.as_ref()
    }

    /// The value of an identity header, by its index in the config; `None`: the header must be absent.
    pub(super) fn identity(&self, index: usize) -> Option<&Rc<[u8]>> {
        self.derived.identity.get(index)?.as_ref()
    }

    /// The header edits of this principal's ordinary requests; `make` computes them for the first.
    pub(super) fn cached_edits(&self, make: impl FnOnce() -> Rc<[Edit]>) -> Rc<[Edit]> {
        Rc::clone(self.derived.cached_edits.get_or_init(make))
    }

    /// The subject as logs show it: a keyed hash.
    pub(super) fn subject(&self) -> Option<&str> {
        self.derived.subject.as_deref()
    }
}

impl Principal for VerifiedPrincipal {
    fn claims(&self) -> &Claims {
        self.verified.claims()
    }

    fn roles(&self) -> &RoleSet {
        &self.derived.roles
    }

    fn issuer(&self) -> &str {
        self.verified.issuer_name()
    }
}

impl Derived {
    #[inline(never)]
    fn new(claims: &Claims, config: &Config, subject_key: Option<&[u8]>) -> Self {
        let signed = config.correlation.claim.as_ref();
        let signed = signed.and_then(|claim| claims.at(claim)?.as_str());
        let roles = &config.rbac.roles;
        let header = |header: &IdentityHeader| {
            let value = header_value(header, claims, roles)?;
            Some(Rc::from(value.into_bytes()))
        };
        let hashed = config.log.subject == Subject::Hash;
        let subject = subject_key.filter(|_| hashed).and_then(|key| {
            let subject = claims.get("sub").and_then(Json::as_str)?;
            Some(keyed_hash(key, subject).into())
        });
        Self {
            roles: config.rbac.roles.roles_of(claims),
            signed_id: CorrelationId::signed(signed),
            identity: config.identity.headers.iter().map(header).collect(),
            subject,
            cached_edits: OnceCell::new(),
        }
    }
}

/// The header's value as the upstream reads it. Roles are listed as they were read for the decision,
/// whatever their format in the token.
fn header_value(header: &IdentityHeader, claims: &Claims, roles: &RoleModel) -> Option<String> {
    let value = claims.at(&header.claim)?;
    match value {
        Json::String(_) if roles.splits_at_commas(&header.claim) => {
            identity::list_value(roles.names_in(claims))
        }
        value => identity::header_value(value),
    }
}
