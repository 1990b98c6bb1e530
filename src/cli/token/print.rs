//! Prints what is known about a token.

use std::io::Write;

use super::checks;
use super::inspect::{Inspection, Verdict};
use super::words::{relative, rfc3339};
use crate::cli::CommandError;
use crate::cli::keys::json::{compact, number, object, optional, pretty, string};
use crate::cli::text::printable;
use crate::json::Json;

/// The times of a token (RFC 7519 §4.1): the claim, the words and the name in the JSON output.
const TIMES: [(&str, &str, &str); 3] = [
    ("iat", "issued", "issued_at"),
    ("nbf", "not before", "not_before"),
    ("exp", "expires", "expires_at"),
];

/// Prints text for a terminal.
///
/// # Errors
/// [`CommandError::Output`]
pub(super) fn text(it: &Inspection, output: &mut impl Write) -> Result<(), CommandError> {
    writeln!(output, "header {}", pretty(&it.parts.header))?;
    writeln!(output, "claims {}", pretty(&it.parts.claims))?;
    writeln!(output)?;
    writeln!(output, "size         {} bytes", it.bytes)?;
    for (claim, words, _) in TIMES {
        let Some(time) = time(it, claim) else {
            continue;
        };
        let words = match claim {
            "exp" if time <= it.now => "expired",
            _ => words,
        };
        let (relative, time) = (relative(it.now, time), rfc3339(time));
        writeln!(output, "{words:<12} {relative} ({time})")?;
    }
    if time(it, "exp").is_none() {
        writeln!(
            output,
            "expires      unknown: `exp` is missing or no number, and the filter refuses that"
        )?;
    }
    match &it.verdict {
        Some(verdict) => verdict.print(output),
        None => {
            if let Some(problem) = &it.problem {
                writeln!(output, "malformed    {}", printable(problem))?;
            }
            Ok(())
        }
    }
}

/// Prints one JSON object.
///
/// # Errors
/// [`CommandError::Output`]
pub(super) fn json(it: &Inspection, output: &mut impl Write) -> Result<(), CommandError> {
    let times = TIMES.map(|(claim, _, name)| (name, optional(time(it, claim).map(rfc3339))));
    let verdict = it.verdict.as_ref();
    let json = object([
        ("header", it.parts.header.clone()),
        ("claims", it.parts.claims.clone()),
        ("bytes", number(it.bytes)),
        ("now", string(rfc3339(it.now))),
        ("times", object(times)),
        ("problem", optional(it.problem.as_ref())),
        ("config", verdict.map_or(Json::Null, Verdict::json)),
    ]);
    writeln!(output, "{}", compact(&json))?;
    Ok(())
}

/// A NumericDate (RFC 7519 §2) in whole seconds, for people: the filter's verifier reads it by itself.
fn time(it: &Inspection, claim: &str) -> Option<u64> {
    match it.parts.claims.as_object()?.get(claim)? {
        Json::Integer(seconds) => u64::try_from(*seconds).ok(),
        Json::Float(seconds) => u64::try_from(Json::Float(seconds.floor()).as_integer()?).ok(),
        _ => None,
    }
}

impl Verdict {
    fn print(&self, output: &mut impl Write) -> Result<(), CommandError> {
        writeln!(output)?;
        for finding in &self.findings {
            let result = finding.result.words();
            let line = format!("{result:<12} {:<11} {}", finding.check, finding.detail);
            writeln!(output, "{}", line.trim_end())?;
        }
        match (self.reason, self.is_decided) {
            (Some(reason), _) => {
                writeln!(
                    output,
                    "The config refuses the token: {} {}",
                    reason.status(),
                    reason.code()
                )?;
            }
            (None, true) => writeln!(output, "The config takes the token.")?,
            (None, false) => writeln!(
                output,
                "More is needed to tell whether the config takes the token."
            )?,
        }
        Ok(())
    }

    fn json(&self) -> Json {
        let findings = self.findings.iter().map(|finding| {
            object([
                ("check", string(finding.check)),
                ("result", string(finding.result.words().replace(' ', "_"))),
                ("detail", string(&finding.detail)),
            ])
        });
        let key = self.examination.as_ref().and_then(|it| it.key.as_ref());
        let key = key.map_or(Json::Null, |key| {
            object([
                ("source", string(checks::source(key.source))),
                ("kid", optional(key.kid.as_ref())),
                ("thumbprint", optional(key.thumbprint.as_ref())),
            ])
        });
        let accepted = match (self.reason, self.is_decided) {
            (Some(_), _) => Json::Bool(false),
            (None, true) => Json::Bool(true),
            (None, false) => Json::Null,
        };
        object([
            ("accepted", accepted),
            ("reason", optional(self.reason.map(|reason| reason.code()))),
            (
                "status",
                self.reason
                    .map_or(Json::Null, |reason| number(reason.status())),
            ),
            ("issuer", optional(self.issuer.as_ref())),
            ("key", key),
            ("checks", Json::Array(findings.collect())),
        ])
    }
}
