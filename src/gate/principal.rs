//! The principal of a request: a verified token, and what the config derives from its claims.

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

/// The principal of a verified token; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct VerifiedPrincipal {
    pub(super) verified: Verified<Rc<Derived>>,
    derived: Rc<Derived>,
}

/// What the config derives from a token's claims; computed once and cached with the token.
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
    /// `subject_key` is the key of the subject's hash in logs.
    pub(super) fn new(
        verified: Verified<Rc<Derived>>,
        config: &Config,
        subject_key: Option<&[u8]>,
    ) -> Self {
        let derived = verified.derived(|claims| Rc::new(Derived::new(claims, config, subject_key)));
        let derived = Rc::clone(derived);
        Self { verified, derived }
    }

    pub(super) fn signed_id(&self) -> Option<&CorrelationId> {
        self.derived.signed_id.as_ref()
    }

    /// The value of the identity header with this index in the config; `None` if it must be absent.
    pub(super) fn identity(&self, index: usize) -> Option<&Rc<[u8]>> {
        self.derived.identity.get(index)?.as_ref()
    }

    /// The header edits that are the same for most requests of this principal; `make` computes them once.
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

/// The header's value. Roles are listed as the access check reads them; there is no header without roles.
fn header_value(header: &IdentityHeader, claims: &Claims, roles: &RoleModel) -> Option<String> {
    if roles.is_claim(&header.claim) {
        let value = identity::list_value(roles.names_in(claims));
        return value.filter(|value| !value.is_empty());
    }
    identity::header_value(claims.at(&header.claim)?)
}
