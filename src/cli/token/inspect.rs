//! `token inspect`: shows a token, and whether a config would take it.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::checks::{self, CheckResult, Finding, Subject};
use super::explain;
use super::parts::{Parts, token_in};
use super::print;
use crate::cli::keys::file::{self, content};
use crate::cli::keys_of_config::{self, KeyOptions};
use crate::cli::mint::policy;
use crate::cli::mint::target::Target;
use crate::cli::{Answer, CommandError, clock};
use crate::config::Config;
use crate::denial::Reason;
use crate::token::examine::Examination;
use crate::token::{CacheLimits, Jws, LiveRequest, Portable, Verifier};

/// Show a token, and whether a config would take it.
///
/// Prints header, claims and times, never the signature: with it, the output could be used as the token. With
/// --config, the filter's own verifier examines the token, and each of its checks is listed in its order. The
/// rules of routes are not part of it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct InspectOptions {
    /// The file with the token, with or without `Bearer `; `-` for stdin
    #[arg(value_name = "FILE", default_value = "-")]
    pub(super) token: PathBuf,
    /// The file with the config that should take the token
    #[arg(long, value_name = "CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// The config whose title contains this text, if the file has several
    #[arg(long, value_name = "TITLE", requires = "config")]
    select: Option<String>,
    /// The request that the token comes with, for the config's `bind`
    #[arg(long = "for", value_name = "METHOD URL", value_parser = Target::parse, requires = "config")]
    target: Option<Target>,
    /// The time of the request, like 2026-01-01T00:00:00Z. Default: the clock
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    now: Option<u64>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    #[command(flatten)]
    keys: KeyOptions,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims token inspect token.txt
  pbpaste | edge-claims token inspect
  edge-claims token inspect token.txt --config config.yaml \\
    --jwks https://edge.example.com=jwks.json --for 'GET https://shop.example.com/orders'

Exit codes:
  0  the config would take the token; without --config: the token is well-formed
  1  it would not, or a key or the request is missing to tell; the token is malformed
  2  wrong usage, or a file cannot be read or has no token";

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Text for a terminal
    Text,
    /// One JSON object
    Json,
}

/// What is known about a token.
pub(super) struct Inspection {
    /// Header and claims.
    pub(super) parts: Parts,
    /// The size of the token in bytes.
    pub(super) bytes: usize,
    /// The time of the request, in seconds since 1970.
    pub(super) now: u64,
    /// What is wrong with its shape.
    pub(super) problem: Option<String>,
    /// What the config makes of it.
    pub(super) verdict: Option<Verdict>,
}

/// What a config makes of a token.
pub(super) struct Verdict {
    /// Each check.
    pub(super) findings: Vec<Finding>,
    /// The reason of the filter's denial; `None` if the token is accepted, or if that is not known.
    pub(super) reason: Option<Reason>,
    /// Whether nothing is missing to tell.
    pub(super) is_decided: bool,
    /// The issuer's name, if the config has it.
    pub(super) issuer: Option<String>,
    /// The key.
    pub(super) examination: Option<Examination>,
}

/// Shows a token.
///
/// # Errors
/// A [`CommandError`]
pub(super) fn run(
    options: &InspectOptions,
    output: &mut impl Write,
) -> Result<Answer, CommandError> {
    let inputs = [&options.token].into_iter().chain(&options.config);
    file::check_stdin_once(inputs)?;
    if options.config.is_none() && !options.keys.is_empty() {
        return Err(CommandError::Usage(
            "--jwks and --secret are the keys of a config: give it with --config".to_owned(),
        ));
    }
    let select = options.select.as_deref();
    let config = options
        .config
        .as_deref()
        .map(|path| policy::load(path, select))
        .transpose()?;
    let file = file::read(&options.token)?;
    let prefix = config.as_ref().map_or("", |config| &config.claims.prefix);
    let token = token_in(&file.text, prefix);
    let parts = Parts::read(&token).map_err(|error| content(&file.name, error.to_string()))?;
    let now = options.now.unwrap_or_else(clock::now);
    let problem = match Jws::parse(token.as_bytes()) {
        Ok(_) => None,
        Err(_) => Some(
            parts
                .problem
                .clone()
                .unwrap_or_else(|| explain::MALFORMED.to_owned()),
        ),
    };
    let verdict = config
        .map(|config| verdict(options, &config, &token, problem.as_deref(), now))
        .transpose()?;
    let inspection = Inspection {
        parts,
        bytes: token.len(),
        now,
        problem,
        verdict,
    };
    match options.format {
        Format::Text => print::text(&inspection, output)?,
        Format::Json => print::json(&inspection, output)?,
    }
    let is_good = match &inspection.verdict {
        Some(verdict) => verdict.reason.is_none() && verdict.is_decided,
        None => inspection.problem.is_none(),
    };
    Ok(if is_good { Answer::Yes } else { Answer::No })
}

fn verdict(
    options: &InspectOptions,
    config: &Config,
    token: &str,
    problem: Option<&str>,
    now: u64,
) -> Result<Verdict, CommandError> {
    let target = options.target.as_ref();
    let subject = Subject::new(token, config, target, now).with_problem(problem);
    let issuer = subject.issuer.map(|issuer| issuer.name.clone());
    let claims = &config.claims;
    let size = claims.prefix.len().saturating_add(token.len());
    if size > claims.max_bytes {
        let size = Finding {
            check: "size",
            result: CheckResult::Failed,
            detail: format!(
                "{size} bytes with the prefix: max_bytes is {}",
                claims.max_bytes
            ),
        };
        return Ok(Verdict {
            findings: vec![size],
            reason: Some(Reason::ClaimsTooLarge),
            is_decided: true,
            issuer,
            examination: None,
        });
    }
    let mut verifier = verifier(options, config, now)?;
    let none = LiveRequest {
        method: b"",
        path: b"",
        host: b"",
    };
    let live = target.map_or(none, Target::live);
    let now_ms = now.saturating_mul(1_000);
    let examination = verifier.examine(token.as_bytes(), &live, now_ms, &Portable);
    let mut findings = checks::findings(&examination, &subject);
    let error = examination.error.as_ref();
    let is_decided =
        error.is_none_or(|error| !checks::is_undecided(error, examination.check, &subject));
    let one_use = subject.issuer.and_then(|issuer| issuer.one_use.as_ref());
    if let (Some(_), None) = (one_use, error) {
        findings.push(Finding {
            check: "one_use",
            result: CheckResult::NotChecked,
            detail: "the proxy accepts the token once".to_owned(),
        });
    }
    Ok(Verdict {
        findings,
        reason: error
            .filter(|_| is_decided)
            .map(|error| error.reason_after_fetch()),
        is_decided,
        issuer,
        examination: Some(examination),
    })
}

/// The filter's verifier with the keys that were given.
fn verifier(
    options: &InspectOptions,
    config: &Config,
    now: u64,
) -> Result<Verifier<()>, CommandError> {
    let env = keys_of_config::secrets(&options.keys)?;
    let issuers = config.claims.issuers.clone();
    let limits = CacheLimits {
        entries: 0,
        bytes: 0,
    };
    let mut verifier = Verifier::new(issuers, limits, 0, &env);
    for (issuer, keys) in keys_of_config::key_sets(&options.keys, config)? {
        verifier.set_keys(issuer, keys, now);
    }
    Ok(verifier)
}
