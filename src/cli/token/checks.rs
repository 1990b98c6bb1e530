//! The checks of a token in the order of the filter's verifier, with words for each. The verifier decides; the
//! words only describe what it compared.

use super::explain::explain;
use super::words::{relative, span};
use crate::cli::keys::json::{compact, string};
use crate::cli::mint::target::Target;
use crate::cli::text::printable;
use crate::config::Config;
use crate::denial::Reason;
use crate::token::examine::{Examination, KeySource};
use crate::token::{Check, Issuer, Jws, KeyAbsence, VerifyError};

/// What the checks are about.
pub(in crate::cli) struct Subject<'a> {
    /// The token, if it is well-formed.
    pub(super) jws: Option<Jws<'a>>,
    /// The issuer that it names, if the config has it.
    pub(super) issuer: Option<&'a Issuer>,
    pub(super) config: &'a Config,
    pub(super) target: Option<&'a Target>,
    pub(super) now: u64,
    /// What is wrong with the token's shape, if that is known.
    pub(super) problem: Option<&'a str>,
}

/// The result of one check.
pub(in crate::cli) struct Finding {
    /// A word that does not change.
    pub(in crate::cli) check: &'static str,
    /// How it went.
    pub(in crate::cli) result: CheckResult,
    /// What was compared.
    pub(in crate::cli) detail: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum CheckResult {
    /// It passed.
    Ok,
    /// It failed.
    Failed,
    /// Something is missing to tell: keys, or the request.
    NotChecked,
    /// An earlier check failed.
    NotReached,
}

impl CheckResult {
    /// The result in words.
    pub(in crate::cli) fn words(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::NotChecked => "not checked",
            Self::NotReached => "not reached",
        }
    }
}

/// All checks in their order.
const ORDER: [Check; 12] = [
    Check::Shape,
    Check::Issuer,
    Check::Algorithm,
    Check::Key,
    Check::Signature,
    Check::Type,
    Check::Times,
    Check::Audience,
    Check::Lifetime,
    Check::Required,
    Check::Revocation,
    Check::Binding,
];

/// The name of a check.
fn name(check: Check) -> &'static str {
    match check {
        Check::Shape => "shape",
        Check::Issuer => "issuer",
        Check::Algorithm => "algorithm",
        Check::Key => "key",
        Check::Signature => "signature",
        Check::Type => "type",
        Check::Times => "times",
        Check::Audience => "audience",
        Check::Lifetime => "lifetime",
        Check::Required => "required",
        Check::Revocation => "revocation",
        Check::Binding => "binding",
    }
}

/// The findings of an examination, one for each check.
pub(in crate::cli) fn findings(examination: &Examination, subject: &Subject<'_>) -> Vec<Finding> {
    let one = |check: Check| {
        let (result, detail) = match &examination.error {
            Some(_) if check > examination.check => (CheckResult::NotReached, String::new()),
            Some(error) if check == examination.check => {
                let result = if is_undecided(error, check, subject) {
                    CheckResult::NotChecked
                } else {
                    CheckResult::Failed
                };
                (result, explain(examination, subject))
            }
            _ => (CheckResult::Ok, subject.compared(check, examination)),
        };
        Finding {
            check: name(check),
            result,
            detail,
        }
    };
    ORDER.into_iter().map(one).collect()
}

/// Whether something that was not given could change the result.
pub(super) fn is_undecided(error: &VerifyError, check: Check, subject: &Subject<'_>) -> bool {
    match error {
        VerifyError::KeyUnavailable { why, .. } => *why == KeyAbsence::NeverFetched,
        VerifyError::Denied(Reason::KeysUnavailable) => true,
        VerifyError::Denied(_) => check == Check::Binding && subject.target.is_none(),
    }
}

/// The text as a JSON string, safe for a terminal.
pub(super) fn quoted(text: &str) -> String {
    compact(&string(text))
}

impl<'a> Subject<'a> {
    /// The subject of the checks of a token.
    pub(in crate::cli) fn new(
        token: &'a str,
        config: &'a Config,
        target: Option<&'a Target>,
        now: u64,
    ) -> Self {
        let jws = Jws::parse(token.as_bytes()).ok();
        let issuer = jws.as_ref().and_then(|jws| {
            let mut issuers = config.claims.issuers.iter();
            issuers.find(|issuer| Some(issuer.name.as_str()) == jws.issuer())
        });
        Self {
            jws,
            issuer,
            config,
            target,
            now,
            problem: None,
        }
    }

    /// Adds what is known to be wrong with the token's shape.
    pub(super) fn with_problem(self, problem: Option<&'a str>) -> Self {
        Self { problem, ..self }
    }

    /// What a check that passed compared.
    fn compared(&self, check: Check, examination: &Examination) -> String {
        let (Some(jws), Some(issuer)) = (&self.jws, self.issuer) else {
            return String::new();
        };
        let unless = |unchecked: bool, text: &str| {
            if unchecked {
                text.to_owned()
            } else {
                String::new()
            }
        };
        match check {
            Check::Issuer => quoted(&issuer.name),
            Check::Algorithm => printable(&jws.algorithm),
            Check::Key => key(examination),
            Check::Times => {
                let leeway = issuer.leeway;
                examination.times.expiry.map_or_else(String::new, |exp| {
                    format!("exp {}, leeway {}", relative(self.now, exp), span(leeway))
                })
            }
            Check::Type => unless(issuer.token_type.is_none(), "any type"),
            Check::Audience => unless(issuer.audiences.is_none(), "any audience"),
            Check::Lifetime => unless(issuer.max_lifetime.is_none(), "no max_lifetime"),
            Check::Binding => unless(issuer.bind == Default::default(), "none"),
            Check::Shape | Check::Signature | Check::Required | Check::Revocation => String::new(),
        }
    }
}

/// The key that was chosen: its source, `kid` and thumbprint.
pub(super) fn key(examination: &Examination) -> String {
    let Some(key) = &examination.key else {
        return String::new();
    };
    let kid = key
        .kid
        .as_deref()
        .map_or("no kid".to_owned(), |kid| format!("kid {}", quoted(kid)));
    let thumbprint = key
        .thumbprint
        .as_deref()
        .map(|one| format!(", thumbprint {one}"));
    format!(
        "{kid} of {}{}",
        source(key.source),
        thumbprint.unwrap_or_default()
    )
}

/// Where a key comes from, as the config names it.
pub(super) fn source(source: KeySource) -> &'static str {
    match source {
        KeySource::Inline => "keys.inline",
        KeySource::Remote => "keys.remote",
        KeySource::Secret => "keys.secrets",
    }
}
