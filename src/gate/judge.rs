//! The decision itself: which route, whose claims, and whether they suffice.

use std::rc::Rc;

use super::caller::{Caller, Derived};
use super::scan::Scan;
use super::{Gate, Patience, Surroundings};
use crate::config::Mode;
use crate::denial::Reason;
use crate::headers::{Headers, Sent, is_token};
use crate::identity::OnSpoof;
use crate::policy::decision::{Claimant, Refused, Situation};
use crate::policy::explanation::Refusal as AccessRefusal;
use crate::policy::host::CanonicalHost;
use crate::policy::path::CanonicalPath;
use crate::policy::permit::Permit;
use crate::policy::route::{Route, RouteId};
use crate::policy::table::Unmatched;
use crate::record::Verdict;
use crate::reply::StepUpChallenge;
use crate::token::{LiveRequest, Verified, VerifyError};

/// What the pipeline came to, before anything is done about it.
pub(super) struct Judgement {
    pub(super) ruling: Ruling,
    pub(super) route: Option<RouteId>,
    pub(super) caller: Option<Caller>,
    /// A token that did not verify on a route that lets everybody pass: it does not go on either.
    pub(super) token_dropped: bool,
    /// The path that the decision is about, where it is not the one that was sent.
    pub(super) new_path: Option<Vec<u8>>,
}

pub(super) enum Ruling {
    Pass {
        permit: Permit,
        /// What would have been denied, in shadow mode.
        shadowed: Option<Box<Denial>>,
    },
    Deny {
        refusal: Box<Denial>,
    },
    Wait {
        issuer: usize,
    },
}

/// Why not.
#[derive(Debug)]
pub(super) struct Denial {
    pub(super) reason: Reason,
    pub(super) step_up: Option<StepUpChallenge>,
    /// For the log only.
    pub(super) explanation: Option<String>,
}

impl From<Reason> for Box<Denial> {
    fn from(reason: Reason) -> Self {
        Self::new(Denial {
            reason,
            step_up: None,
            explanation: None,
        })
    }
}

impl Denial {
    #[cold]
    fn of(refusal: &AccessRefusal) -> Box<Self> {
        Box::new(Self {
            reason: refusal.reason,
            step_up: refusal.step_up().map(|step_up| StepUpChallenge {
                acr_values: step_up.acr_values.clone(),
                max_age: step_up.max_age,
            }),
            explanation: Some(refusal.explanation.to_string()),
        })
    }
}

impl Ruling {
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Pass { shadowed: None, .. } => Verdict::Allow,
            Self::Pass {
                shadowed: Some(denial),
                ..
            } => Verdict::Shadow(denial.reason),
            Self::Deny { refusal } => Verdict::Deny(refusal.reason),
            Self::Wait { .. } => Verdict::Deny(Reason::KeysUnavailable),
        }
    }

    pub(super) fn explanation(&self) -> Option<String> {
        match self {
            Self::Pass {
                shadowed: Some(denial),
                ..
            }
            | Self::Deny { refusal: denial } => denial.explanation.clone(),
            _ => None,
        }
    }
}

/// A request whose host and path are read, and the route that decides about it.
struct Located<'r> {
    scan: &'r Scan<'r>,
    headers: &'r Headers<'r>,
    host: &'r CanonicalHost<'r>,
    path: &'r CanonicalPath<'r>,
    route: Option<RouteId>,
}

/// What the request's token came to.
enum Credentials {
    Verified(Caller),
    /// There is none, or it does not count.
    Refused(Reason),
    /// It may count once keys were fetched.
    Undecided {
        issuer: usize,
        reason: Reason,
    },
}

impl Credentials {
    fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Verified(caller) => Some(caller),
            _ => None,
        }
    }

    /// Why there are no claims.
    fn reason(&self) -> Reason {
        match self {
            Self::Verified(_) => Reason::Internal,
            Self::Refused(reason) | Self::Undecided { reason, .. } => *reason,
        }
    }
}

impl Gate {
    /// Decides about a request; changes nothing but what is remembered of its token.
    pub(super) fn judge(
        &mut self,
        scan: &Scan<'_>,
        headers: &Headers<'_>,
        around: &mut Surroundings<'_>,
    ) -> Judgement {
        if scan.spoofed && self.config.identity.on_spoof == OnSpoof::Reject {
            return Judgement::denied(Reason::SpoofedHeader.into());
        }
        if scan.token == Sent::Repeated {
            return Judgement::denied(Reason::ClaimsRepeated.into());
        }
        // A plain CONNECT asks for a tunnel, which no route describes. An extended one (RFC 8441)
        // arrives as GET. What is no token (RFC 9110 §9.1) some backend may read as another method.
        if !is_token(scan.method) || scan.method == b"CONNECT" {
            return Judgement::denied(Reason::RequestMalformed.into());
        }
        let host = match CanonicalHost::parse(scan.authority) {
            Ok(host) => host,
            Err(error) => return Judgement::malformed(&error),
        };
        let path = match CanonicalPath::parse(scan.path) {
            Ok(path) => path,
            Err(error) => return Judgement::malformed(&error),
        };
        if let Some(judgement) = self.preflight(scan, &host, &path) {
            return judgement;
        }
        let route = match self.config.rbac.routes.find(&host, scan.method, &path) {
            Ok(found) => Some(found.id),
            Err(Unmatched::NoRoute) => None,
            Err(Unmatched::Ambiguous { class, route }) => {
                return Judgement {
                    route,
                    ..Judgement::malformed_as(Reason::PathAmbiguous, &class)
                };
            }
        };
        let credentials = self.credentials(scan, &host, around);
        let request = Located {
            scan,
            headers,
            host: &host,
            path: &path,
            route,
        };
        self.authorize(&request, credentials, around)
    }

    /// What the request's token is worth.
    fn credentials(
        &mut self,
        scan: &Scan<'_>,
        host: &CanonicalHost<'_>,
        around: &Surroundings<'_>,
    ) -> Credentials {
        let Sent::Once(value) = scan.token else {
            return Credentials::Refused(Reason::ClaimsMissing);
        };
        let claims = &self.config.claims;
        if value.len() > claims.max_bytes {
            return Credentials::Refused(Reason::ClaimsTooLarge);
        }
        let Some(token) = without_prefix(value, claims.prefix.as_bytes()) else {
            return Credentials::Refused(Reason::ClaimsMalformed);
        };
        let live = LiveRequest {
            method: scan.method,
            path: scan.path,
            host: host.as_bytes(),
        };
        let now = around.seconds();
        match self
            .verifier
            .verify(token, &live, around.now, around.backend)
        {
            Ok(verified) => {
                self.counters.kid(verified.kid());
                self.note_delay(&verified, now);
                let subject_key = self.subject_key.as_deref();
                Credentials::Verified(Caller::new(verified, &self.config, subject_key))
            }
            Err(VerifyError::Denied(reason)) => Credentials::Refused(reason),
            Err(ref absent @ VerifyError::KeyUnavailable { issuer, .. }) => {
                Credentials::Undecided {
                    issuer: issuer.0,
                    reason: match around.patience {
                        Patience::Fetched => absent.reason_after_fetch(),
                        // The key may exist: 503, and never 401.
                        Patience::Wait | Patience::None => absent.reason_without_fetch(),
                    },
                }
            }
        }
    }

    fn note_delay(&mut self, verified: &Verified<Rc<Derived>>, now: u64) {
        if let (false, Some(issued_at)) = (verified.is_cached(), verified.issued_at()) {
            self.counters.delay(now.saturating_sub(issued_at));
        }
    }

    fn authorize(
        &mut self,
        request: &Located<'_>,
        credentials: Credentials,
        around: &mut Surroundings<'_>,
    ) -> Judgement {
        let checked = self.check(request, &credentials, around);
        let mut token_dropped = false;
        let (mut caller, missing) = match credentials {
            Credentials::Verified(caller) => (Some(caller), None),
            Credentials::Undecided { issuer, reason } => (None, Some((issuer, reason))),
            Credentials::Refused(_) => (None, None),
        };
        let result = match checked {
            Ok(permit) => {
                if caller.is_none() && request.scan.token != Sent::Absent {
                    token_dropped = true;
                    super::counters::add_one(Some(&mut self.counters.dropped_tokens));
                }
                match self.consume(caller.as_ref(), around) {
                    Ok(()) => Ok(permit),
                    // On a public route a token that was used up is worth nothing, but does no harm.
                    Err(_) if self.is_public(request.route) => {
                        token_dropped = true;
                        caller = None;
                        Ok(permit)
                    }
                    Err(reason) => Err(reason.into()),
                }
            }
            Err(denial) => Err(denial),
        };
        let new_path = request.path.normalized().map(<[u8]>::to_vec);
        let ruling = match result {
            Ok(permit) => Ruling::Pass {
                permit,
                shadowed: None,
            },
            Err(denial) => {
                if let Some(issuer) = may_wait(missing, &denial, around.patience) {
                    Ruling::Wait { issuer }
                } else {
                    let denial = self.explained(denial, request);
                    self.enforce(denial, request.route, caller.as_ref())
                }
            }
        };
        Judgement {
            ruling,
            route: request.route,
            caller,
            token_dropped,
            new_path,
        }
    }

    /// Whether the route, or the default, lets these credentials pass.
    fn check(
        &self,
        request: &Located<'_>,
        credentials: &Credentials,
        around: &Surroundings<'_>,
    ) -> Result<Permit, Box<Denial>> {
        let policy = &self.config.rbac;
        let caller = credentials.caller();
        let claimant = caller.map(|caller| Claimant {
            claims: caller.verified.claims(),
            roles: Some(caller.roles()),
            issuer: caller.verified.issuer_name(),
        });
        let situation = Situation {
            path: request.path,
            headers: request.headers,
            peers: around.peers,
            now: around.seconds(),
        };
        match policy.authorize(request.route, claimant.as_ref(), &situation) {
            // What rests on claims counts only with the proof that they were verified.
            Ok(pass) => {
                let proof = caller.map(|caller| &caller.verified);
                Permit::new(pass, proof).ok_or(Reason::Internal.into())
            }
            Err(Refused::ClaimsMissing) => Err(credentials.reason().into()),
            Err(Refused::RouteUnknown) => Err(Reason::RouteUnknown.into()),
            Err(Refused::Access(refusal)) => Err(Denial::of(&refusal)),
        }
    }

    fn is_public(&self, route: Option<RouteId>) -> bool {
        let route = route.and_then(|id| self.config.rbac.routes.get(id));
        route.is_some_and(|route| route.access.is_public())
    }

    /// Uses up a one-use token. The very last step: nothing after it can deny.
    fn consume(
        &mut self,
        caller: Option<&Caller>,
        around: &Surroundings<'_>,
    ) -> Result<(), Reason> {
        match caller {
            Some(caller) => self.verifier.consume(&caller.verified, around.seconds()),
            None => Ok(()),
        }
    }

    /// A CORS preflight (Fetch §4.8) that passes without claims: `OPTIONS` with an origin, for a
    /// method that a route exists for.
    fn preflight(
        &self,
        scan: &Scan<'_>,
        host: &CanonicalHost<'_>,
        path: &CanonicalPath<'_>,
    ) -> Option<Judgement> {
        let requested = scan.preflight_method;
        let found = self
            .config
            .rbac
            .preflight(scan.method, scan.origin, requested, host, path)?;
        Some(Judgement {
            ruling: Ruling::Pass {
                permit: Permit::preflight(&found),
                shadowed: None,
            },
            route: Some(found.id),
            caller: None,
            token_dropped: true,
            new_path: found.normalized().map(<[u8]>::to_vec),
        })
    }

    /// Denies, or lets through what shadow mode or the roll-out's share spares.
    #[cold]
    fn enforce(
        &self,
        denial: Box<Denial>,
        located: Option<RouteId>,
        caller: Option<&Caller>,
    ) -> Ruling {
        let route = located.and_then(|id| self.config.rbac.routes.get(id));
        let shadow = self.config.mode == Mode::Shadow
            || route.is_some_and(|route| route.shadow || !chosen(route, caller));
        if shadow && !denial.reason.is_malformed_request() {
            Ruling::Pass {
                permit: Permit::shadow(denial.reason),
                shadowed: Some(denial),
            }
        } else {
            Ruling::Deny { refusal: denial }
        }
    }

    /// The denial with the route that came nearest and the test that failed, for the log.
    #[cold]
    fn explained(&self, mut denial: Box<Denial>, request: &Located<'_>) -> Box<Denial> {
        let routes = &self.config.rbac.routes;
        let failed = denial
            .explanation
            .take()
            .unwrap_or_else(|| denial.reason.code().to_owned());
        let word = |fits: bool| if fits { "ok" } else { "differs" };
        denial.explanation = Some(match request.route.and_then(|id| routes.get(id)) {
            Some(route) => format!("{}: host ok, path ok, method ok, {failed}", route.name),
            None => match routes.nearest(request.host, request.scan.method, request.path) {
                Some(near) => format!(
                    "no route; nearest {}: host {}, path ok, method {}; {failed}",
                    routes.get(near.id).map_or("-", |route| route.name.as_str()),
                    word(near.host),
                    word(near.method),
                ),
                None => format!("no route has this path; {failed}"),
            },
        });
        denial
    }
}

impl Judgement {
    #[cold]
    fn denied(refusal: Box<Denial>) -> Self {
        Self {
            ruling: Ruling::Deny { refusal },
            route: None,
            caller: None,
            token_dropped: false,
            new_path: None,
        }
    }

    #[cold]
    fn malformed(error: &dyn std::fmt::Display) -> Self {
        Self::malformed_as(Reason::RequestMalformed, error)
    }

    #[cold]
    fn malformed_as(reason: Reason, what: &dyn std::fmt::Display) -> Self {
        let mut refusal: Box<Denial> = reason.into();
        refusal.explanation = Some(what.to_string());
        Self::denied(refusal)
    }
}

impl Surroundings<'_> {
    /// Seconds since 1970.
    fn seconds(&self) -> u64 {
        self.now.checked_div(1_000).unwrap_or_default()
    }
}

/// The issuer to wait for, where waiting could turn a denial into something else: the route wants
/// claims, and only the key is missing.
fn may_wait(
    missing: Option<(usize, Reason)>,
    denial: &Denial,
    patience: Patience,
) -> Option<usize> {
    let (issuer, reason) = missing?;
    (patience == Patience::Wait && denial.reason == reason).then_some(issuer)
}

/// Whether a denial on this route is enforced for this subject: the share is taken from a hash of
/// the verified subject and the route. Who is not verified can't choose to be spared.
fn chosen(route: &Route, caller: Option<&Caller>) -> bool {
    if route.enforce_percent >= 100 {
        return true;
    }
    let subject = caller.and_then(|caller| caller.verified.claims().get("sub")?.as_str());
    match subject {
        Some(subject) => {
            let hash = fnv1a(&[subject.as_bytes(), b"\0", route.name.as_bytes()]);
            hash.checked_rem(100)
                .is_some_and(|bucket| bucket < u64::from(route.enforce_percent))
        }
        None => route.enforce_percent > 0,
    }
}

/// FNV-1a (64 bit): the same on every worker and after every restart, which is all that is asked of it.
fn fnv1a(parts: &[&[u8]]) -> u64 {
    parts
        .iter()
        .copied()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// What stands behind the prefix, whose letters may be in either case (RFC 9110 §11.1).
fn without_prefix<'v>(value: &'v [u8], prefix: &[u8]) -> Option<&'v [u8]> {
    let (head, token) = value.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(token)
}
