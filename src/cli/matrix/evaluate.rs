//! What the access rules of a route say about the sender that a column describes.
//!
//! Each alternative is split into what the column decides and what it leaves open. The core's own check
//! answers the first part; the second is listed. This is exact for denials, because an alternative holds
//! only if all its conditions do.

use crate::claims::Claims;
use crate::config::Config;
use crate::denial::{Denial, Reason};
use crate::headers::Headers;
use crate::policy::access::{Access, AccessRequest, Alternative, Basis, Conditions, check};
use crate::policy::condition::Test;
use crate::policy::peer::PeerPattern;
use crate::policy::roles::RoleSet;
use crate::policy::table::Variables;

use super::column::{Column, sample_peer, scope_claims};
use super::words;

/// The access of one column to one route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Cell {
    /// Whether it is allowed.
    pub(super) access: CellAccess,
    /// The result of each alternative, in the order of the config.
    pub(super) alternatives: Vec<AlternativeResult>,
}

/// Whether access is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum CellAccess {
    /// Whatever else the request has.
    Allowed,
    /// It depends on what the column does not decide.
    Conditional,
    /// Whatever else the request has.
    Denied,
}

/// The result of one alternative.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum AlternativeResult {
    /// It holds, because of this.
    Holds(String),
    /// It holds if all of these conditions do.
    Open(Vec<String>),
    /// It does not hold.
    Fails(Reason, String),
}

/// The sender that a column describes, for one config.
pub(super) struct Sender<'c> {
    config: &'c Config,
    known: Known<'c>,
    /// `None` without a token.
    claims: Option<Claims>,
    roles: RoleSet,
    issuer: String,
    peers: Vec<String>,
    /// Why no request can be as the column says.
    note: Option<String>,
}

/// What the column decides.
#[derive(Default)]
struct Known<'c> {
    token: bool,
    /// The name is that of the column's role, if it has one.
    roles: Option<Option<&'c str>>,
    /// The claim with the column's scope.
    scopes: Option<&'c [String]>,
    scope: Option<&'c str>,
    issuer: bool,
    peer: bool,
}

impl CellAccess {
    /// As machine-readable output has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Conditional => "conditional",
            Self::Denied => "denied",
        }
    }
}

impl Cell {
    fn of(alternatives: Vec<AlternativeResult>) -> Self {
        let has = |is: fn(&AlternativeResult) -> bool| alternatives.iter().any(is);
        let access = if has(|it| matches!(it, AlternativeResult::Holds(_))) {
            CellAccess::Allowed
        } else if has(|it| matches!(it, AlternativeResult::Open(_))) {
            CellAccess::Conditional
        } else {
            CellAccess::Denied
        };
        Self {
            access,
            alternatives,
        }
    }

    /// The conditions under which access is allowed: those of each alternative that can hold.
    pub(super) fn open(&self) -> impl Iterator<Item = &[String]> {
        self.alternatives.iter().filter_map(|it| match it {
            AlternativeResult::Open(conditions) => Some(conditions.as_slice()),
            AlternativeResult::Holds(_) | AlternativeResult::Fails(..) => None,
        })
    }
}

impl<'c> Sender<'c> {
    /// `patterns` are all patterns for peers that are columns.
    pub(super) fn new(config: &'c Config, column: &'c Column, patterns: &[&PeerPattern]) -> Self {
        let issuers = &config.claims.issuers;
        let mut sender = Self {
            config,
            known: Known {
                token: true,
                // With a single issuer, every token is from it.
                issuer: issuers.len() == 1,
                ..Known::default()
            },
            claims: Some(Claims::default()),
            roles: RoleSet::default(),
            issuer: issuers
                .first()
                .map(|issuer| issuer.name.clone())
                .unwrap_or_default(),
            peers: Vec::new(),
            note: None,
        };
        match column {
            Column::Anonymous => sender.claims = None,
            Column::Authenticated => sender.known.roles = Some(None),
            Column::Role(name) => {
                sender.known.roles = Some(Some(name));
                let claims = config.rbac.roles.claims_with(&[name]);
                if claims.is_none() && config.rbac.roles.names().contains(&name.as_str()) {
                    sender.note = Some(
                        "no token can have this role alone, because rbac.roles.format splits its name"
                            .to_owned(),
                    );
                }
                let claims = claims.unwrap_or_default();
                sender.roles = config.rbac.roles.roles_of(&claims);
                sender.claims = Some(claims);
            }
            Column::Scope { claim, scope } => {
                sender.known.scopes = Some(claim.names());
                sender.known.scope = Some(scope);
                sender.claims = Some(scope_claims(claim, scope));
            }
            Column::Peer(pattern) => {
                sender.known.token = false;
                sender.known.peer = true;
                sender.peers = vec![sample_peer(pattern, patterns)];
            }
            Column::Issuer(name) => {
                sender.known.issuer = true;
                sender.issuer.clone_from(name);
                if !issuers.iter().any(|issuer| issuer.name == *name) {
                    sender.claims = None;
                    sender.note =
                        Some("the config does not accept tokens of this issuer".to_owned());
                }
            }
        }
        sender
    }

    /// A verified token with all roles that the config names.
    pub(super) fn with_all_roles(config: &'c Config) -> Self {
        let mut sender = Self::new(config, &Column::Authenticated, &[]);
        let model = &config.rbac.roles;
        let mut names = model.names();
        names.retain(|name| model.claims_with(&[name]).is_some());
        let claims = model.claims_with(&names).unwrap_or_default();
        sender.roles = model.roles_of(&claims);
        sender.claims = Some(claims);
        sender
    }

    /// Why no request can be as the column says, if that is so.
    pub(super) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The access to a route.
    pub(super) fn access(&self, access: &Access) -> Cell {
        let results = access.alternatives().iter().map(|it| self.alternative(it));
        Cell::of(results.collect())
    }

    /// The access to what no route matches.
    pub(super) fn access_without_route(&self) -> Cell {
        let principal = self.claims.as_ref().map(|_| ());
        let result = match self.config.rbac.authorize_without_route(principal) {
            Err(denial) => self.fails(&denial),
            Ok(_) if self.known.token => AlternativeResult::Holds(words::AUTHENTICATED.to_owned()),
            Ok(_) => AlternativeResult::Open(vec![words::AUTHENTICATED.to_owned()]),
        };
        Cell::of(vec![result])
    }

    fn alternative(&self, alternative: &Alternative) -> AlternativeResult {
        let (decided, open) = self.split(alternative);
        // A part of valid alternatives is valid. If it were not, nothing would be decided.
        let Ok(decided) = Access::new(vec![decided]) else {
            return AlternativeResult::Open(words::alternative(alternative));
        };
        match self.check(&decided) {
            Err(denial) => self.fails(&denial),
            Ok(_) if open.is_empty() => AlternativeResult::Holds(self.held(alternative)),
            Ok(_) => AlternativeResult::Open(open),
        }
    }

    /// The core's check of what the column decides.
    fn check(&self, access: &Access) -> Result<Basis<()>, Box<Denial>> {
        let principal = self.claims.as_ref().map(|_| ());
        let request = AccessRequest {
            claims: self.claims.as_ref(),
            roles: self.claims.as_ref().map(|_| &self.roles),
            issuer: self.claims.as_ref().map(|_| self.issuer.as_str()),
            role_model: &self.config.rbac.roles,
            variables: Variables::default(),
            headers: &Headers::new(&[]),
            peers: &self.peers,
            now: 0,
        };
        check(access, principal, &request)
    }

    fn fails(&self, denial: &Denial) -> AlternativeResult {
        let explanation = match (&denial.explanation, denial.reason) {
            (Some(text), _) => {
                // The core's explanation begins with what is shown beside it: the reason and the column.
                let text = text.split_once(": ").map_or(&**text, |(_, text)| text);
                let held = self.known.scope.or(self.known.roles.flatten());
                let held = format!("has [{}], ", held.unwrap_or_default());
                text.strip_prefix(&held).unwrap_or(text)
            }
            (None, Reason::ClaimsMissing) => "needs a verified token",
            (None, Reason::RouteUnknown) => "no route matches, and rbac.default is deny",
            (None, _) => "",
        };
        AlternativeResult::Fails(denial.reason, explanation.to_owned())
    }

    /// The part that the column decides, and the other conditions in words.
    fn split(&self, alternative: &Alternative) -> (Alternative, Vec<String>) {
        if alternative.needs_claims() && self.claims.is_none() {
            return (Alternative::Authenticated, Vec::new());
        }
        let mut open = Vec::new();
        if alternative.needs_claims() && !self.known.token {
            open.push(words::AUTHENTICATED.to_owned());
        }
        let Alternative::Conditions(conditions) = alternative else {
            return (alternative.clone(), open);
        };
        let mut decided = Conditions::default();
        // Without `..`, so that a new condition must be handled here.
        let Conditions {
            any_role,
            all_roles,
            issuers,
            audiences,
            scopes,
            bind,
            peers,
            when,
        } = &**conditions;
        if self.known.roles.is_some() {
            decided.any_role.clone_from(any_role);
            decided.all_roles.clone_from(all_roles);
        } else {
            open.extend(words::any_role(any_role));
            open.extend(words::all_roles(all_roles));
        }
        if self.known.issuer {
            decided.issuers.clone_from(issuers);
        } else {
            open.extend(words::issuers(issuers));
        }
        open.extend(words::audiences(audiences));
        match scopes {
            Some(it) if self.known.scopes == Some(it.claim.names()) => {
                decided.scopes.clone_from(scopes);
            }
            _ => open.extend(scopes.iter().map(words::scopes)),
        }
        open.extend(bind.iter().map(words::binding));
        if self.known.peer {
            decided.peers.clone_from(peers);
        } else {
            open.extend(words::peers(peers));
        }
        let (tested, untested): (Vec<&Test>, Vec<&Test>) = conjuncts(when.as_ref())
            .into_iter()
            .partition(|test| self.known.peer && depends_on_peer_alone(test));
        open.extend(untested.into_iter().map(words::test));
        decided.when =
            (!tested.is_empty()).then(|| Test::All(tested.into_iter().cloned().collect()));
        let decided = if decided != Conditions::default() {
            Alternative::Conditions(Box::new(decided))
        } else if alternative.needs_claims() {
            Alternative::Authenticated
        } else {
            Alternative::Public
        };
        (decided, open)
    }

    /// Why an alternative holds.
    fn held(&self, alternative: &Alternative) -> String {
        let Alternative::Conditions(conditions) = alternative else {
            return words::alternative(alternative).join(", ");
        };
        let mut held = Vec::new();
        let has = |role: &_| self.roles.has(role);
        let roles = conditions.any_role.iter().find(|role| has(role));
        for role in roles.into_iter().chain(&conditions.all_roles) {
            held.push(words::held_role(role.name(), self.known.roles.flatten()));
        }
        held.extend(words::issuers(&conditions.issuers));
        held.extend(conditions.scopes.iter().map(words::scopes));
        held.extend(words::peers(&conditions.peers));
        held.extend(
            conjuncts(conditions.when.as_ref())
                .into_iter()
                .map(words::test),
        );
        held.dedup();
        held.join(", ")
    }
}

/// The tests that must all hold.
fn conjuncts(when: Option<&Test>) -> Vec<&Test> {
    match when {
        Some(Test::All(tests)) => tests
            .iter()
            .flat_map(|test| conjuncts(Some(test)))
            .collect(),
        Some(test) => vec![test],
        None => Vec::new(),
    }
}

fn depends_on_peer_alone(test: &Test) -> bool {
    match test {
        Test::All(tests) | Test::Any(tests) => tests.iter().all(depends_on_peer_alone),
        Test::Not(test) => depends_on_peer_alone(test),
        Test::Peer(_) => true,
        Test::Claim { .. } | Test::Header { .. } => false,
    }
}
