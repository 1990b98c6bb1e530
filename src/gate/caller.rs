//! Whose request it is: a verified token, and what this config makes of its claims.

use std::cell::OnceCell;
use std::rc::Rc;

use super::edits::Edit;
use crate::claims::Claims;
use crate::config::Config;
use crate::correlation::CorrelationId;
use crate::identity;
use crate::json::Json;
use crate::policy::roles::RoleSet;
use crate::record::{Subject, keyed_hash};
use crate::token::Verified;

/// A verified token with what follows from it. Clones share all of it.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) verified: Verified<Rc<Derived>>,
    derived: Rc<Derived>,
}

/// What follows from a token's claims under one config: made once, and kept as long as the token is
/// remembered.
pub(crate) struct Derived {
    roles: RoleSet,
    signed_id: Option<CorrelationId>,
    /// By the place of the header in the config.
    identity: Box<[Option<Rc<[u8]>>]>,
    subject: Option<Rc<str>>,
    usual_edits: OnceCell<Rc<[Edit]>>,
}

impl Caller {
    /// The caller who brought the token; `subject_key` is the key of subjects in logs.
    pub(super) fn new(
        verified: Verified<Rc<Derived>>,
        config: &Config,
        subject_key: Option<&[u8]>,
    ) -> Self {
        let derived = verified.derived(|claims| Rc::new(Derived::new(claims, config, subject_key)));
        let derived = Rc::clone(derived);
        Self { verified, derived }
    }

    /// The roles, inclusions resolved.
    pub(super) fn roles(&self) -> &RoleSet {
        &self.derived.roles
    }

    /// The correlation ID in the claims.
    pub(super) fn signed_id(&self) -> Option<&CorrelationId> {
        self.derived.signed_id.as_ref()
    }

    /// What the identity header at a place in the config must say; `None`: it must not be there.
    pub(super) fn identity(&self, index: usize) -> Option<&Rc<[u8]>> {
        self.derived.identity.get(index)?.as_ref()
    }

    /// What becomes of the headers of its usual requests, which `make` makes for the first of them.
    pub(super) fn usual_edits(&self, make: impl FnOnce() -> Rc<[Edit]>) -> Rc<[Edit]> {
        Rc::clone(self.derived.usual_edits.get_or_init(make))
    }

    /// The subject as logs show it: a keyed hash.
    pub(super) fn subject(&self) -> Option<&str> {
        self.derived.subject.as_deref()
    }
}

impl Derived {
    #[inline(never)]
    fn new(claims: &Claims, config: &Config, subject_key: Option<&[u8]>) -> Self {
        let signed = config.correlation.claim.as_ref();
        let signed = signed.and_then(|claim| claims.at(claim)?.as_str());
        let header = |header: &identity::IdentityHeader| {
            let value = identity::header_value(claims.at(&header.claim)?)?;
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
            usual_edits: OnceCell::new(),
        }
    }
}
