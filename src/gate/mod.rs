//! The pipeline: decides about one request. It makes no host calls.
//!
//! The stages, in the order in which [`Gate::decide`] runs them:
//!
//! 1. **Locate** ([`Policy::locate`](crate::policy::authorize::Policy::locate)): method, host, path,
//!    route; before it, spoofed headers and repeated tokens.
//! 2. **Authenticate** (`authenticate`): the token's signature, times, audience, revocation, binding.
//! 3. **Authorize** (`authorize`): the route's access rules, then one-use tokens; shadow mode.
//! 4. **Correlate** (`correlate`): the signed ID, else an accepted header, else a new one.
//! 5. **Conclude** (`conclude`): header edits or a reply, and what logs show.

mod authenticate;
mod authorize;
mod conclude;
mod correlate;
pub(crate) mod counters;
mod edits;
mod permit;
mod principal;
mod scan;
#[cfg(feature = "cli")]
pub(crate) mod trace;

use std::rc::Rc;

use smallvec::SmallVec;

use self::authenticate::Credentials;
use self::conclude::Examined;
use self::counters::Counters;
use self::edits::HeaderNames;
pub use self::edits::{Edit, Forward};
use self::permit::Permit;
pub(crate) use self::principal::Derived;
use self::principal::VerifiedPrincipal;
use self::scan::{HeaderIndex, Scan};
use crate::config::Config;
use crate::correlation::CorrelationId;
use crate::denial::{Denial, Reason};
use crate::headers::{Headers, SingleHeader};
use crate::identity::OnSpoof;
use crate::policy::access::Basis;
use crate::policy::locate::{Location, Target};
use crate::policy::route::RouteId;
use crate::record::{AccessField, Verdict};
use crate::reply::Reply;
use crate::token::{CacheLimits, IssuerId, SignatureBackend, Verifier};

/// The compiled policy of one plugin config, and one worker's cache of verified tokens.
pub struct Gate {
    config: Config,
    index: HeaderIndex,
    verifier: Verifier<Rc<Derived>>,
    counters: Counters,
    subject_key: Option<Vec<u8>>,
    correlation_header: Rc<str>,
    names: HeaderNames,
    /// The text of an allow verdict, by route.
    allow_verdicts: Vec<Rc<str>>,
}

/// The maximum memory of one worker's verified tokens, in bytes.
const CACHE_BYTES: usize = 64 << 20;

/// What the pipeline needs besides the headers of a request.
pub struct RequestContext<'s> {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Verifies signatures.
    pub backend: &'s dyn SignatureBackend,
    /// Returns ten random bytes, for a new correlation ID and for sampling.
    pub random: &'s mut dyn FnMut() -> [u8; 10],
    /// Returns the URI SANs of the peer's validated certificate; empty if there is no such certificate.
    pub peers: &'s dyn Fn() -> Vec<String>,
    /// Whether the request can wait for keys.
    pub key_wait: KeyWait,
    /// Called if a key of this issuer is missing that a fetch may bring. Returns whether the request may
    /// wait for it.
    pub may_wait: &'s mut dyn FnMut(IssuerId) -> bool,
    /// The correlation ID that the request was given before it waited.
    pub assigned: Option<&'s CorrelationId>,
}

/// Whether a request can wait for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyWait {
    /// The request can wait.
    Allowed,
    /// A key set was fetched after the request arrived: a key that is not in it does not exist.
    AfterFetch,
    /// The request has waited for the maximum time, or cannot wait.
    Exhausted,
}

/// The result of the pipeline.
#[derive(Debug)]
pub enum Step {
    /// The request waits for an issuer's keys; then the pipeline runs again.
    Wait(Wait),
    /// The pipeline is done.
    Done(Decision),
}

/// A request that waits.
#[derive(Debug)]
pub struct Wait {
    /// The issuer whose keys it waits for.
    pub issuer: IssuerId,
    /// Its correlation ID, which it keeps unless its token has a signed one.
    pub correlation: CorrelationId,
    /// What logs show if the request ends while it waits.
    pub log_fields: LogFields,
    /// Edits of the request's headers that set the correlation ID.
    pub edits: Vec<Edit>,
}

/// What to do with a request, and what to report about it.
#[derive(Debug)]
pub struct Decision {
    /// What to do.
    pub action: Action,
    /// The verdict, as logs and metrics show it.
    pub verdict: Verdict,
    /// The route that decided, if one did.
    pub route: Option<RouteId>,
    /// The fields that access logs can print.
    pub log_fields: LogFields,
    /// A header to add to the response.
    pub response_header: Option<ResponseHeader>,
    /// A line for the filter's own log.
    pub record: Option<String>,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Action {
    /// Forward it with these edits.
    Forward(Forward),
    /// Send this reply instead.
    Reply {
        /// The reply.
        reply: Box<Reply>,
        /// Edits of the request's headers, so that access logs that print them show the correlation ID
        /// instead of a client's value.
        edits: Vec<Edit>,
    },
}

/// The fields that access logs can print; usually two.
pub(crate) type LogFields = SmallVec<[(AccessField, Rc<str>); 2]>;

/// Name and value of the response's correlation header.
pub(crate) type ResponseHeader = (Rc<str>, Rc<str>);

/// The results of the stages.
#[derive(Default)]
struct Evaluation<'r> {
    location: Option<Location<'r>>,
    route: Option<RouteId>,
    principal: Option<VerifiedPrincipal>,
}

/// Why a request is not forwarded now.
enum Held {
    Denied(Box<Denial>),
    Waiting(IssuerId),
}

/// Stage 2; the command can assume its result.
trait Authenticate:
    FnOnce(&mut Gate, &Scan<'_>, &Location<'_>, &RequestContext<'_>) -> Credentials
{
}

impl<F> Authenticate for F where
    F: FnOnce(&mut Gate, &Scan<'_>, &Location<'_>, &RequestContext<'_>) -> Credentials
{
}

impl Gate {
    /// Creates a gate for a config. `env` reads a variable of the VM's environment; `seed` must be random.
    /// Also returns a warning for each missing variable; tokens whose verification needs it are denied.
    pub fn new(
        config: Config,
        env: &dyn Fn(&str) -> Option<Vec<u8>>,
        seed: u64,
    ) -> (Self, Vec<String>) {
        let limits = CacheLimits {
            entries: config.claims.cache_entries,
            bytes: CACHE_BYTES,
        };
        let verifier = Verifier::new(config.claims.issuers.clone(), limits, seed, env);
        let mut warnings: Vec<String> = verifier
            .warnings()
            .iter()
            .map(|warning| format!("claims.{warning}"))
            .collect();
        let subject_key = config.log.hash_key_env.as_deref().and_then(|name| {
            let key = env(name).filter(|key| !key.is_empty());
            if key.is_none() {
                warnings.push(format!(
                    "log.hash_key_env: no {name} in the VM's environment; subjects are not logged"
                ));
            }
            key
        });
        let routes = config.rbac.routes.routes();
        let gate = Self {
            index: HeaderIndex::new(&config),
            counters: Counters::new(routes.len()),
            correlation_header: config.correlation.header.as_str().into(),
            names: HeaderNames::new(&config),
            allow_verdicts: routes
                .iter()
                .map(|route| Verdict::Allow.text(Some(&route.name)).into())
                .collect(),
            verifier,
            subject_key,
            config,
        };
        (gate, warnings)
    }

    /// The enforced config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn verifier(&mut self) -> &mut Verifier<Rc<Derived>> {
        &mut self.verifier
    }

    /// Decides about one request. The caller must call [`Gate::count`] after it has carried out the decision.
    pub fn decide(&mut self, headers: &Headers<'_>, ctx: &mut RequestContext<'_>) -> Step {
        let mut evaluation = Evaluation::default();
        self.decide_into(&mut evaluation, headers, ctx, Self::authenticate)
    }

    /// Decides about one request; the results of the stages are stored in `evaluation`.
    fn decide_into<'r>(
        &mut self,
        evaluation: &mut Evaluation<'r>,
        headers: &Headers<'r>,
        ctx: &mut RequestContext<'_>,
        authenticate: impl Authenticate,
    ) -> Step {
        let scan = self.index.scan(headers);
        let result = self.evaluate(&scan, headers, ctx, evaluation, authenticate);
        let correlation = self.correlate(&scan, evaluation.principal.as_ref(), ctx);
        let request = Examined {
            scan: &scan,
            headers,
            evaluation,
            correlation: &correlation,
        };
        match result {
            Ok(permit) => Step::Done(self.allow(permit, &request, ctx)),
            Err(Held::Waiting(issuer)) => Step::Wait(self.wait(issuer, &request)),
            Err(Held::Denied(denial)) => {
                let denial = self.explain(denial, &request);
                Step::Done(if self.is_shadow_denial(&denial, evaluation) {
                    self.shadow(&denial, &request, ctx)
                } else {
                    self.deny(&denial, &request, ctx)
                })
            }
        }
    }

    /// Runs stages 1 to 3. Their results are stored in `evaluation`, even if the request is denied.
    fn evaluate<'r>(
        &mut self,
        scan: &Scan<'r>,
        headers: &Headers<'_>,
        ctx: &mut RequestContext<'_>,
        evaluation: &mut Evaluation<'r>,
        authenticate: impl Authenticate,
    ) -> Result<Permit, Held> {
        if scan.spoofed && self.config.identity.on_spoof == OnSpoof::Reject {
            return Err(Held::Denied(Reason::SpoofedHeader.into()));
        }
        if scan.token == SingleHeader::Multiple {
            return Err(Held::Denied(Reason::ClaimsRepeated.into()));
        }
        let location = self.config.rbac.locate(&target(scan)).map_err(|error| {
            evaluation.route = error.route;
            Held::Denied(error.denial)
        })?;
        evaluation.route = location.route;
        let location = evaluation.location.insert(location);
        if location.is_preflight {
            return Ok(Permit::granted(Basis::Preflight));
        }
        let credentials = authenticate(self, scan, location, ctx);
        let principal = &mut evaluation.principal;
        self.authorize(location, &credentials, headers, ctx, principal)
    }

    /// Counts a request whose decision was carried out.
    pub fn count(&mut self, verdict: Verdict, route: Option<RouteId>) {
        self.counters.count(verdict, route);
    }

    /// The counters.
    pub(crate) fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// The names of request trailers that must not reach the upstream, and whether the request must be
    /// rejected because of them.
    pub(crate) fn reserved_trailers<'a>(&self, trailers: &Headers<'a>) -> (Vec<&'a [u8]>, bool) {
        let names = self.index.reserved_trailers(trailers);
        let rejects = !names.is_empty() && self.config.identity.on_spoof == OnSpoof::Reject;
        (names, rejects)
    }
}

impl RequestContext<'_> {
    /// Seconds since 1970.
    fn seconds(&self) -> u64 {
        self.now_ms.checked_div(1_000).unwrap_or_default()
    }
}

fn target<'r>(scan: &Scan<'r>) -> Target<'r> {
    Target {
        method: scan.method,
        authority: scan.authority,
        path: scan.path,
        has_origin: scan.origin,
        preflight_method: scan.preflight_method,
    }
}

#[cfg(test)]
mod tests;
