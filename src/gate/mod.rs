//! The pipeline, pure: a request, the policy and the time → what to do with the request.
//!
//! In this order: correlation ID → spoofed headers → the token's shape → host and path → route →
//! verification → access → one-use tokens last, when everything else would allow.

mod caller;
pub(crate) mod counters;
mod edits;
mod judge;
pub(crate) mod scan;

use std::rc::Rc;

use smallvec::SmallVec;

use self::caller::{Caller, Derived};
use self::counters::Counters;
use self::edits::{Draft, Names};
pub(crate) use self::edits::{Edit, Forward};
use self::judge::{Denial, Judgement, Ruling};
use self::scan::{HeaderIndex, Scan};
use crate::bytes;
use crate::config::Config;
use crate::correlation::CorrelationId;
use crate::headers::Headers;
use crate::policy::route::RouteId;
use crate::record::{AccessField, Record, Verdict};
use crate::reply::{Denied, Reply};
use crate::token::{CacheLimits, SignatureBackend, Verified, Verifier};

/// The compiled policy of one plugin config and what one worker remembers of its tokens.
pub struct Gate {
    config: Config,
    index: HeaderIndex,
    verifier: Verifier<Rc<Derived>>,
    counters: Counters,
    subject_key: Option<Vec<u8>>,
    correlation_header: Rc<str>,
    names: Names,
    /// By route: the verdict of a request that it lets pass.
    allowed: Vec<Rc<str>>,
}

/// The most bytes that one worker's verified tokens may take.
const CACHE_BYTES: usize = 64 << 20;

/// What the pipeline asks of the world around one request.
pub struct Surroundings<'s> {
    /// Milliseconds since 1970.
    pub now: u64,
    /// Who computes signatures.
    pub backend: &'s dyn SignatureBackend,
    /// Ten random bytes, for a new correlation ID and for sampling.
    pub random: &'s mut dyn FnMut() -> [u8; 10],
    /// The URI SANs of the peer's certificate, verified by mTLS; empty where there is none.
    pub peers: &'s dyn Fn() -> Vec<String>,
    /// How long the request can wait for keys.
    pub patience: Patience,
}

/// Whether a request may wait for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It may.
    Wait,
    /// A key set was fetched after the request arrived: what is not in it does not exist.
    Fetched,
    /// It waited long enough, or none may.
    None,
}

/// What to do with a request, and what to tell of it.
#[derive(Debug)]
pub struct Decision {
    /// What to do.
    pub outcome: Outcome,
    /// What access logs can print of it.
    pub access_fields: AccessFields,
    /// The header that the response must carry, and its value.
    pub response_header: Option<(Rc<str>, Rc<str>)>,
    /// A line for the filter's own log.
    pub record: Option<String>,
}

/// What access logs can print of a request; mostly two values.
pub(crate) type AccessFields = SmallVec<[(AccessField, Rc<str>); 2]>;

/// What to do with a request.
#[derive(Debug)]
pub enum Outcome {
    /// Let it go on with these edits.
    Forward(Forward),
    /// Answer it.
    Reply {
        /// The answer.
        reply: Box<Reply>,
        /// What its correlation header must be all the same, so that an access log which prints that
        /// header shows the ID, and never what a client put there.
        logged_as: Vec<Edit>,
    },
    /// Let it wait until the issuer's keys were fetched, then ask again.
    Wait {
        /// The index of the issuer whose keys it waits for.
        issuer: usize,
    },
}

impl Gate {
    /// A gate for a config. `env` looks up the variables of the VM's environment; `seed` is random.
    /// With it come warnings about what the environment lacks: those issuers' tokens are denied.
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
        let gate = Self {
            index: HeaderIndex::new(&config),
            counters: Counters::new(config.rbac.routes.routes().len()),
            correlation_header: config.correlation.header.as_str().into(),
            names: Names::new(&config),
            allowed: config
                .rbac
                .routes
                .routes()
                .iter()
                .map(|route| Verdict::Allow.text(Some(&route.name)).into())
                .collect(),
            verifier,
            subject_key,
            config,
        };
        (gate, warnings)
    }

    /// The config that this gate enforces.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the worker remembers of tokens and keys.
    #[cfg_attr(not(feature = "proxy"), allow(dead_code))]
    pub(crate) fn verifier(&mut self) -> &mut Verifier<Rc<Derived>> {
        &mut self.verifier
    }

    /// What was counted since the last call.
    pub fn take_counters(&mut self) -> Counters {
        self.counters.take()
    }

    /// Decides about one request.
    pub fn decide(&mut self, headers: &Headers<'_>, around: &mut Surroundings<'_>) -> Decision {
        let scan = self.index.scan(headers);
        let judgement = self.judge(&scan, headers, around);
        if let Ruling::Wait { issuer } = judgement.ruling {
            return Decision {
                outcome: Outcome::Wait { issuer },
                access_fields: AccessFields::new(),
                response_header: None,
                record: None,
            };
        }
        let correlation = self.correlate(&scan, judgement.caller.as_ref(), around);
        self.conclude(&scan, headers, judgement, &correlation, around)
    }

    fn conclude(
        &mut self,
        scan: &Scan<'_>,
        headers: &Headers<'_>,
        judgement: Judgement,
        correlation: &CorrelationId,
        around: &mut Surroundings<'_>,
    ) -> Decision {
        let verdict = judgement.ruling.verdict();
        let route = judgement.route;
        self.counters.count(
            verdict,
            route.and_then(|RouteId(id)| usize::try_from(id).ok()),
        );
        let access_fields = self.access_fields(verdict, &judgement, correlation);
        let record = sampled(self.share(verdict), around.random)
            .then(|| self.record(scan, headers, &judgement, correlation, around.now));
        let response_header = self
            .config
            .correlation
            .response_header
            .then(|| (Rc::clone(&self.correlation_header), correlation.shared()));
        if edits::spoofed(scan, judgement.caller.as_ref()) {
            counters::add_one(Some(&mut self.counters.spoofed));
        }
        let hostile = edits::hostile(&self.names, scan);
        // The ID itself is well-formed, and so sent as a rule: it is not looked at once more.
        let malformed = !correlation.is_sent_as(scan.correlation)
            && CorrelationId::is_malformed(scan.correlation);
        if malformed || !hostile.is_empty() {
            counters::add_one(Some(&mut self.counters.correlation_malformed));
        }
        let outcome = match judgement.ruling {
            Ruling::Pass { permit, .. } => {
                let draft = Draft {
                    names: &self.names,
                    scan,
                    caller: judgement.caller.as_ref(),
                    forwards_token: self.config.claims.forward,
                    token_dropped: judgement.token_dropped,
                    correlation,
                    hostile,
                    path: judgement.new_path,
                };
                Outcome::Forward(Forward::new(permit, draft.edits()))
            }
            Ruling::Deny { ref refusal } => {
                let mut logged_as = hostile;
                edits::correlate(&mut logged_as, &self.names, scan, correlation);
                let header = response_header.as_ref().map(|(name, _)| &**name);
                let reply = self.reply(refusal, route, scan, correlation, header);
                Outcome::Reply { reply, logged_as }
            }
            Ruling::Wait { issuer } => Outcome::Wait { issuer },
        };
        Decision {
            outcome,
            access_fields,
            response_header,
            record,
        }
    }

    #[cold]
    fn reply(
        &self,
        refusal: &Denial,
        route: Option<RouteId>,
        scan: &Scan<'_>,
        correlation: &CorrelationId,
        correlation_header: Option<&str>,
    ) -> Box<Reply> {
        let route = route.and_then(|id| self.config.rbac.routes.get(id));
        let reply = Reply::new(
            &Denied {
                reason: refusal.reason,
                status: route.map(|route| route.status(refusal.reason)),
                route: route.map(|route| route.name.as_str()),
                correlation_id: correlation.as_str(),
                correlation_header,
                step_up: refusal.step_up.as_ref(),
                grpc: scan.grpc,
            },
            &self.config.responses,
        );
        Box::new(reply)
    }

    /// The signed ID wins, then an accepted header's, then a new one.
    fn correlate(
        &mut self,
        scan: &Scan<'_>,
        caller: Option<&Caller>,
        around: &mut Surroundings<'_>,
    ) -> CorrelationId {
        if let Some(signed) = caller.and_then(Caller::signed_id) {
            if scan.correlation.once().is_some() && !signed.is_sent_as(scan.correlation) {
                counters::add_one(Some(&mut self.counters.correlation_overwritten));
            }
            return signed.clone();
        }
        let settings = &self.config.correlation;
        let accepted = settings.accept.iter().enumerate();
        let sent = accepted.map(|(index, name)| {
            let is_own = bytes::equal(name.as_bytes(), settings.header.as_bytes());
            if is_own {
                scan.correlation
            } else {
                scan.other_id(index)
            }
        });
        CorrelationId::from_headers(sent)
            .unwrap_or_else(|| CorrelationId::generate(around.now, (around.random)()))
    }

    fn route_name(&self, id: Option<RouteId>) -> Option<&str> {
        Some(self.config.rbac.routes.get(id?)?.name.as_str())
    }

    fn verdict_text(&self, verdict: Verdict, route: Option<RouteId>) -> Rc<str> {
        let index = route.and_then(|RouteId(id)| usize::try_from(id).ok());
        match index.and_then(|index| self.allowed.get(index)) {
            Some(allowed) if verdict == Verdict::Allow => Rc::clone(allowed),
            _ => verdict.text(self.route_name(route)).into(),
        }
    }

    fn access_fields(
        &self,
        verdict: Verdict,
        judgement: &Judgement,
        correlation: &CorrelationId,
    ) -> AccessFields {
        let fields = self.config.log.access_fields.iter();
        fields
            .filter_map(|field| {
                let value = self.access_field(*field, verdict, judgement, correlation)?;
                Some((*field, value))
            })
            .collect()
    }

    fn access_field(
        &self,
        field: AccessField,
        verdict: Verdict,
        judgement: &Judgement,
        correlation: &CorrelationId,
    ) -> Option<Rc<str>> {
        let caller = judgement.caller.as_ref();
        let verified = caller.map(|caller| &caller.verified);
        let text = match field {
            AccessField::CorrelationId => return Some(correlation.shared()),
            AccessField::Verdict => return Some(self.verdict_text(verdict, judgement.route)),
            AccessField::CorrelationSource => return Some(correlation.source().as_str().into()),
            AccessField::Reason => return Some(verdict.reason()?.code().into()),
            AccessField::Route => self.route_name(judgement.route),
            AccessField::Issuer => verified.map(Verified::issuer_name),
            AccessField::Kid => verified.and_then(Verified::kid),
            AccessField::Subject => caller.and_then(Caller::subject),
        };
        Some(plain(text?).into())
    }

    /// The share of requests that get a record.
    fn share(&self, verdict: Verdict) -> f64 {
        match verdict {
            Verdict::Allow => self.config.log.allow,
            Verdict::Deny(_) => self.config.log.deny,
            Verdict::Shadow(_) => self.config.log.shadow,
        }
    }

    #[cold]
    fn record(
        &self,
        scan: &Scan<'_>,
        headers: &Headers<'_>,
        judgement: &Judgement,
        correlation: &CorrelationId,
        time: u64,
    ) -> String {
        let caller = judgement.caller.as_ref();
        let verified = caller.map(|caller| &caller.verified);
        let record = Record {
            time,
            verdict: judgement.ruling.verdict(),
            route: self.route_name(judgement.route),
            explanation: judgement.ruling.explanation(),
            correlation_id: correlation.as_str(),
            correlation_source: correlation.source(),
            request_id: headers.first("x-request-id"),
            traceparent: headers.first("traceparent"),
            method: scan.method,
            host: scan.authority,
            path: scan.path,
            issuer: verified.map(Verified::issuer_name),
            kid: verified.and_then(Verified::kid),
            subject: caller.and_then(Caller::subject),
        };
        record.to_line()
    }
}

/// A text that access logs may print raw: what is not printable ASCII, and what could end a field of
/// a text log, becomes `_`.
fn plain(text: &str) -> String {
    text.chars()
        .take(256)
        .map(|letter| match letter {
            '"' | '\\' => '_',
            letter if letter.is_ascii_graphic() => letter,
            _ => '_',
        })
        .collect()
}

/// Whether one of a share of requests is chosen.
fn sampled(share: f64, random: &mut dyn FnMut() -> [u8; 10]) -> bool {
    if share >= 1.0 {
        return true;
    }
    if share <= 0.0 {
        return false;
    }
    let [a, b, c, d, ..] = random();
    f64::from(u32::from_le_bytes([a, b, c, d])) < share * f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
