//! Prints an explanation.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Explanation;
use super::routes::Candidate;
use crate::cli::access::Mark;
use crate::cli::clock;
use crate::cli::text::printable;
use crate::cli::token::checks::Finding;
use crate::denial::Reason;
use crate::gate::Action;
use crate::gate::trace::TokenResult;
use crate::policy::principal::Principal;
use crate::policy::route::Route;
use crate::record::AccessField;

/// The most routes that text shows.
const MAX_ROUTES: usize = 20;

/// Text for people, in the order of the stages.
pub(super) fn text(explanation: &Explanation<'_>, output: &mut impl Write) -> io::Result<()> {
    let request = explanation.request;
    writeln!(
        output,
        "{} {}{} at {}",
        printable(&request.method),
        printable(&request.authority),
        printable(&request.path),
        clock::show(explanation.now)
    )?;
    writeln!(output, "\n1. Locate")?;
    locate(explanation, output)?;
    writeln!(output, "\n2. Authenticate")?;
    writeln!(output, "   {}", printable(&authenticate(explanation)))?;
    for finding in &explanation.checks {
        let line = format!(
            "   {:12} {:11} {}",
            finding.result.words(),
            finding.check,
            printable(&finding.detail)
        );
        writeln!(output, "{}", line.trim_end())?;
    }
    writeln!(output, "\n3. Authorize")?;
    authorize(explanation, output)?;
    writeln!(output, "\n4. Correlate")?;
    let field = |field| explanation.field(field).unwrap_or("-");
    writeln!(
        output,
        "   {} ({})",
        field(AccessField::CorrelationId),
        field(AccessField::CorrelationSource)
    )?;
    writeln!(output, "\n5. Conclude")?;
    conclude(explanation, output)
}

fn locate(explanation: &Explanation<'_>, output: &mut impl Write) -> io::Result<()> {
    match &explanation.trace.location {
        Some(location) => {
            let host = String::from_utf8_lossy(location.authority.host()).into_owned();
            let path = explanation.field(AccessField::Path).unwrap_or("-");
            writeln!(
                output,
                "   host {}, path {}",
                printable(&host),
                printable(path)
            )?;
            if location.is_preflight {
                writeln!(
                    output,
                    "   a CORS preflight for a route that exists: allowed without claims"
                )?;
            }
        }
        None => {
            writeln!(output, "   {}", printable(&why(explanation)))?;
            if explanation.trace.route.is_none() {
                return writeln!(output, "   no route was looked up");
            }
        }
    }
    if explanation.candidates.is_empty() {
        return writeln!(output, "   no route has this path");
    }
    for candidate in explanation.candidates.iter().take(MAX_ROUTES) {
        let mark = if candidate.lost.is_none() {
            "yes"
        } else {
            "no "
        };
        let reason = candidate.lost.map_or("decides", |lost| lost.text());
        let route = candidate.route;
        writeln!(
            output,
            "   {mark}  {}: {} ({reason})",
            route.name,
            pattern(route)
        )?;
    }
    match explanation.candidates.len().checked_sub(MAX_ROUTES) {
        Some(more) if more > 0 => writeln!(output, "   and {more} more with this path"),
        _ => Ok(()),
    }
}

/// `GET,POST shop.example.com /orders/{id}`
fn pattern(route: &Route) -> String {
    let list = |items: Vec<String>, every: &str| {
        if items.is_empty() {
            every.to_owned()
        } else {
            items.join(",")
        }
    };
    let methods = route.methods.iter().map(|it| it.as_str().to_owned());
    let hosts = route.hosts.iter().map(ToString::to_string);
    format!(
        "{} {} {}",
        list(methods.collect(), "every method"),
        list(hosts.collect(), "every host"),
        route.path
    )
}

fn authenticate(explanation: &Explanation<'_>) -> String {
    let issuer = || {
        let principal = explanation.trace.principal.as_ref();
        let issuer = principal.map_or("-", |principal| principal.issuer());
        let kid = principal.and_then(|principal| principal.kid.as_deref());
        match kid {
            Some(kid) => format!("issuer {issuer}, kid {kid}"),
            None => format!("issuer {issuer}"),
        }
    };
    match explanation.trace.token {
        TokenResult::NotReached => "not reached".to_owned(),
        TokenResult::Missing => format!("no header {}", explanation.config.claims.header.as_str()),
        TokenResult::Assumed if explanation.trace.principal.is_none() => {
            "the claims are from an issuer that the config does not have".to_owned()
        }
        TokenResult::Assumed => format!("the claims of --claims count as verified: {}", issuer()),
        TokenResult::Verified => format!("the token is valid: {}", issuer()),
        TokenResult::Rejected(Reason::KeysUnavailable) => {
            "the secret of the issuer is not set; give it with --secret NAME=FILE, or in the environment".to_owned()
        }
        TokenResult::Rejected(reason) => format!(
            "the token is not valid: {}",
            reason.code()
        ),
        TokenResult::KeyUnavailable(_, reason @ Reason::KeyUnknown) => {
            format!("no key of the issuer fits the token: {}", reason.code())
        }
        TokenResult::KeyUnavailable(issuer, reason) => {
            let issuers = &explanation.config.claims.issuers;
            let name = issuers
                .get(issuer.0)
                .map_or("-", |issuer| issuer.name.as_str());
            format!(
                "no key for the token: {}; give the keys of the server with --jwks '{name}=FILE|URL'",
                reason.code()
            )
        }
    }
}

fn authorize(explanation: &Explanation<'_>, output: &mut impl Write) -> io::Result<()> {
    let trace = explanation.trace;
    if trace.token == TokenResult::NotReached {
        return writeln!(output, "   not reached");
    }
    let Some(route) = explanation.candidates.iter().find(|it| it.lost.is_none()) else {
        let default = if explanation.config.rbac.default_authenticated {
            "no route matches; `default: authenticated` asks for verified claims"
        } else {
            "no route matches, so nobody is allowed"
        };
        return writeln!(output, "   {default}");
    };
    writeln!(
        output,
        "   route {}, `allow` needs one of these:",
        route.route.name
    )?;
    for (index, alternative) in explanation.alternatives.iter().enumerate() {
        let mark = if alternative.holds {
            Mark::Yes
        } else {
            Mark::No
        };
        writeln!(
            output,
            "   {:7} [{index}] {}",
            mark.text(),
            alternative.kind
        )?;
        for condition in &alternative.conditions {
            let indent = "  ".repeat(condition.depth);
            write!(
                output,
                "   {:7}     {indent}{}",
                condition.mark.text(),
                printable(&condition.text)
            )?;
            match &condition.detail {
                Some(detail) if condition.depth == 0 => {
                    writeln!(output, "  ({})", printable(detail))?
                }
                _ => writeln!(output)?,
            }
        }
    }
    Ok(())
}

/// The explanation of the record, which names the nearest miss.
fn why(explanation: &Explanation<'_>) -> String {
    let reason = explanation
        .decision()
        .and_then(|decision| decision.verdict.reason());
    let code = reason.map_or("-", |reason| reason.code());
    match explanation.record("explanation") {
        Some(text) => format!("{code}: {text}"),
        None => code.to_owned(),
    }
}

fn conclude(explanation: &Explanation<'_>, output: &mut impl Write) -> io::Result<()> {
    let Some(decision) = explanation.decision() else {
        return writeln!(output, "   the request waits for keys");
    };
    let verdict = explanation.field(AccessField::Verdict).unwrap_or("-");
    match &decision.action {
        Action::Forward(_) => {
            writeln!(output, "   {verdict}: forwarded with these changes")?;
            if decision.verdict.reason().is_some() {
                writeln!(
                    output,
                    "   without shadow mode: {}",
                    printable(&why(explanation))
                )?;
            }
        }
        Action::Reply { reply, .. } => {
            writeln!(output, "   {verdict}: answered with {}", reply.status)?;
            writeln!(output, "   {}", printable(&why(explanation)))?;
        }
    }
    for (name, value) in explanation.edits() {
        match value {
            Some(value) => writeln!(output, "   {}: {}", printable(&name), printable(&value))?,
            None => writeln!(output, "   {} is removed", printable(&name))?,
        }
    }
    Ok(())
}

/// One object with all that the text shows.
pub(super) fn json(explanation: &Explanation<'_>) -> Value {
    let field = |field| explanation.field(field);
    let candidate = |candidate: &Candidate<'_>| {
        json!({
            "name": candidate.route.name,
            "pattern": pattern(candidate.route),
            "decides": candidate.lost.is_none(),
            "lost": candidate.lost.map(|lost| lost.text()),
        })
    };
    let alternatives: Vec<Value> = explanation
        .alternatives
        .iter()
        .map(|alternative| {
            let conditions: Vec<Value> = alternative
                .conditions
                .iter()
                .map(|condition| {
                    json!({
                        "depth": condition.depth,
                        "condition": condition.text,
                        "result": condition.mark.text(),
                        "detail": condition.detail,
                    })
                })
                .collect();
            json!({"kind": alternative.kind, "holds": alternative.holds, "conditions": conditions})
        })
        .collect();
    let edits: Vec<Value> = explanation
        .edits()
        .into_iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let check = |finding: &Finding| json!({"check": finding.check, "result": finding.result.words().replace(' ', "_"), "detail": finding.detail});
    let decision = explanation.decision();
    let status = decision.and_then(|decision| match &decision.action {
        Action::Reply { reply, .. } => Some(reply.status),
        Action::Forward(_) => None,
    });
    let is_forwarded = decision.is_some() && status.is_none();
    let principal = explanation.trace.principal.as_ref();
    json!({
        "request": {
            "method": explanation.request.method,
            "authority": explanation.request.authority,
            "path": explanation.request.path,
            "time": clock::show(explanation.now),
        },
        "locate": {
            "path": field(AccessField::Path),
            "routes": explanation.candidates.iter().map(candidate).collect::<Vec<_>>(),
        },
        "authenticate": {
            "result": authenticate(explanation),
            "issuer": principal.map(|principal| principal.issuer()),
            "kid": principal.and_then(|principal| principal.kid.clone()),
            "checks": explanation.checks.iter().map(check).collect::<Vec<_>>(),
        },
        "authorize": {"alternatives": alternatives},
        "correlate": {
            "id": field(AccessField::CorrelationId),
            "source": field(AccessField::CorrelationSource),
        },
        "conclude": {
            "verdict": field(AccessField::Verdict),
            "reason": decision.and_then(|it| it.verdict.reason()).map(|reason| reason.code()),
            "explanation": explanation.record("explanation"),
            "forwarded": is_forwarded,
            "status": status,
            "headers": edits,
        },
    })
}
