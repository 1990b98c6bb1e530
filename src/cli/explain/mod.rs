//! `edge-claims explain`: one request through the filter's pipeline, with what each stage found.

mod print;
mod request;
mod routes;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use self::request::Request;
use self::routes::Candidate;
use super::access::{self, AlternativeTrace};
use super::keys_of_config::{self, KeyOptions};
use super::mint::target::Target;
use super::source::{self, FoundConfig};
use super::token::checks::{self, Finding, Subject};
use super::{Answer, CommandError, clock};
use crate::claims::Claims;
use crate::config::Config;
use crate::gate::trace::{TokenResult, Trace};
use crate::gate::{Action, Decision, Gate, KeyWait, RequestContext, Step};
use crate::headers::{Header, Headers};
use crate::json::Json;
use crate::policy::authorize::Circumstances;
use crate::record::{AccessField, Verdict};
use crate::token::{IssuerId, Portable};

/// Show how the filter decides about one request, step by step.
///
/// The request goes through the filter's own pipeline: the path rules, the token checks, the access rules of the
/// route and the header edits are those that the filter runs. Nothing is sent.
///
/// The user is given by --token (a file with a signed token, verified with the keys of the config) or by --claims
/// (claims that count as verified). Without both, the request has no token.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The file with the config; `-` for stdin
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// The URL, or only its path, for the host test.example. As with curl --path-as-is, the path is sent as it is
    /// written
    #[arg(value_name = "URL")]
    url: String,
    /// The method
    #[arg(
        short = 'X',
        long = "request",
        value_name = "METHOD",
        default_value = "GET"
    )]
    method: String,
    /// A header of the request; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Claims that count as verified: JSON, or a file with it
    #[arg(long, value_name = "JSON|@FILE", conflicts_with = "token")]
    claims: Option<String>,
    /// A file with the signed token; `-` for stdin
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// A SPIFFE ID in the client's validated certificate; may be repeated
    #[arg(long, value_name = "SPIFFE ID")]
    peer: Vec<String>,
    /// The time of the request, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    now: Option<u64>,
    /// Which config, if the file has several: a part of its title
    #[arg(long, value_name = "TITLE")]
    select: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: KeyOptions,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims explain config.yaml https://shop.example.com/orders/7
  edge-claims explain config.yaml -X POST https://shop.example.com/orders \\
    --claims '{\"sub\":\"u1\",\"roles\":[\"editor\"]}'
  edge-claims explain gateway.yaml https://shop.example.com/admin --token token.txt \\
    --jwks https://edge.example.com=jwks.json
  edge-claims explain config.yaml /internal --peer spiffe://cluster.local/ns/edge/sa/gateway

Exit codes:
  0  the request is allowed, also by shadow mode
  1  the request is denied, or its token needs keys that are not given
  2  wrong usage, a file that cannot be read, or a config with errors";

/// The result of the pipeline, and what the stages found.
struct Explanation<'e> {
    config: &'e Config,
    request: &'e Request,
    trace: &'e Trace<'e>,
    candidates: Vec<Candidate<'e>>,
    /// The checks of the token, in the order of the verifier.
    checks: Vec<Finding>,
    alternatives: Vec<AlternativeTrace>,
    now: u64,
}

/// Explains a decision.
///
/// # Errors
/// A [`CommandError`] if a file cannot be read or the config has errors.
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let found = source::one_config(&options.config, options.select.as_deref())?;
    let mut config = source::load(&found)?;
    // Show all that logs could show.
    config.log.access_fields = AccessField::WORDS.iter().map(|(_, field)| *field).collect();
    config.log.allow = 1.0;
    config.log.deny = 1.0;
    config.log.shadow = 1.0;
    let claims = claims(options)?;
    let mut request = Request::parse(&options.method, &options.url, &options.headers)?;
    if let Some(path) = &options.token {
        request.add_token(&config, path)?;
    }
    let now = options.now.unwrap_or_else(clock::now);
    explain(config, &found, &request, claims, options, now, output)
}

fn explain(
    config: Config,
    found: &FoundConfig,
    request: &Request,
    claims: Option<Claims>,
    options: &Options,
    now: u64,
    output: &mut impl Write,
) -> Result<Answer, CommandError> {
    let env = keys_of_config::secrets(&options.keys)?;
    // The gate owns its config; the access rules are shown from a second one.
    let shown = source::load(found)?;
    let (mut gate, warnings) = Gate::new(config, &|name| env(name), 0);
    for (issuer, keys) in keys_of_config::key_sets(&options.keys, &shown)? {
        gate.set_remote_keys(issuer, keys, now);
    }
    if options.token.is_some() {
        warnings
            .iter()
            .for_each(|warning| eprintln!("edge-claims: {warning}"));
    }
    let headers: Vec<Header<'_>> = request.headers();
    let headers = Headers::new(&headers);
    let peers = || options.peer.clone();
    let mut random = || {
        let mut bytes = [0; 10];
        // Only for the ID of this one explanation.
        let _ = getrandom::fill(&mut bytes);
        bytes
    };
    let mut ctx = RequestContext {
        now_ms: now.saturating_mul(1_000),
        backend: &Portable,
        random: &mut random,
        peers: &peers,
        key_wait: KeyWait::AfterFetch,
        may_wait: &mut |_: IssuerId| false,
        assigned: None,
    };
    let trace = gate.trace(&headers, &mut ctx, claims);
    let circumstances = Circumstances {
        headers: &headers,
        peers: &peers,
        now,
    };
    let alternatives = match &trace.location {
        Some(location) if !location.is_preflight && trace.token != TokenResult::NotReached => {
            let principal = trace.principal.as_ref();
            access::alternatives(
                &shown.rbac,
                location,
                principal,
                &circumstances,
                &options.peer,
            )
        }
        _ => Vec::new(),
    };
    let checks = token_checks(&mut gate, &shown, request, &trace, now);
    let explanation = Explanation {
        checks,
        candidates: routes::candidates(&shown.rbac, request, &trace),
        config: &shown,
        request,
        trace: &trace,
        alternatives,
        now,
    };
    if options.json {
        writeln!(output, "{:#}", print::json(&explanation))?;
    } else {
        print::text(&explanation, output)?;
    }
    Ok(
        match explanation.decision().map(|decision| decision.verdict) {
            Some(Verdict::Allow | Verdict::Shadow(_)) => Answer::Yes,
            Some(Verdict::Deny(_)) | None => Answer::No,
        },
    )
}

/// The checks of the request's token by the filter's verifier; none if the stage was not reached.
fn token_checks(
    gate: &mut Gate,
    config: &Config,
    request: &Request,
    trace: &Trace<'_>,
    now: u64,
) -> Vec<Finding> {
    let (Some(token), Some(location)) = (&request.token, &trace.location) else {
        return Vec::new();
    };
    if matches!(trace.token, TokenResult::NotReached | TokenResult::Missing) {
        return Vec::new();
    }
    let target = Target {
        method: request.method.clone(),
        path: request.path.clone(),
        host: String::from_utf8_lossy(location.authority.host()).into_owned(),
    };
    let subject = Subject::new(token, config, Some(&target), now);
    let now_ms = now.saturating_mul(1_000);
    let verifier = gate.verifier();
    let examination = verifier.examine(token.as_bytes(), &target.live(), now_ms, &Portable);
    checks::findings(&examination, &subject)
}

impl Explanation<'_> {
    fn decision(&self) -> Option<&Decision> {
        match &self.trace.step {
            Step::Done(decision) => Some(decision),
            Step::Wait(_) => None,
        }
    }

    /// A field of the access log.
    fn field(&self, field: AccessField) -> Option<&str> {
        let fields = &self.decision()?.log_fields;
        let found = fields.iter().find(|(name, _)| *name == field);
        found.map(|(_, value)| &**value)
    }

    /// A member of the filter's record.
    fn record(&self, name: &str) -> Option<String> {
        let record: Value = serde_json::from_str(self.decision()?.record.as_ref()?).ok()?;
        record.get(name)?.as_str().map(str::to_owned)
    }

    /// The headers after the pipeline, or of the response: name and value, `None` if it is removed.
    fn edits(&self) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let Some(decision) = self.decision() else {
            return Vec::new();
        };
        match &decision.action {
            Action::Forward(forward) => forward
                .edits()
                .iter()
                .map(|edit| (text(&edit.name), edit.value.as_deref().map(text)))
                .collect(),
            Action::Reply { reply, .. } => reply
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), Some(value.clone())))
                .collect(),
        }
    }
}

fn claims(options: &Options) -> Result<Option<Claims>, CommandError> {
    let Some(text) = &options.claims else {
        return Ok(None);
    };
    let (name, text) = match text.strip_prefix('@') {
        Some(path) => {
            let source = source::read(path.as_ref())?;
            (source.name.clone(), source.text.clone())
        }
        None => ("--claims".to_owned(), text.clone()),
    };
    let error = |problem: String| CommandError::Content {
        name: name.clone(),
        problem,
    };
    match Json::parse_strict(text.as_bytes()) {
        Ok(Json::Object(object)) => Ok(Some(Claims::from(object))),
        Ok(other) => Err(error(format!(
            "is {}, must be an object",
            other.type_name()
        ))),
        Err(problem) => Err(error(format!("not JSON: {problem}"))),
    }
}
