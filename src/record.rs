//! The filter's log record of a decision: one line of JSON with the fields of docs/log-fields.md and no token.

mod text;

pub(crate) use self::text::{keyed_hash, plain, plain_path, without_query};
use self::text::{push_rfc3339, push_text};
use crate::correlation::Source;
use crate::denial::Reason;

/// The config's `log`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The share of allowed requests that are recorded, 0 to 1.
    pub allow: f64,
    /// The share of denied requests that are recorded, 0 to 1.
    pub deny: f64,
    /// The share of requests allowed only by shadow mode that are recorded, 0 to 1.
    pub shadow: f64,
    /// Whether and how subjects are shown.
    pub subject: Subject,
    /// The variable of the VM's environment that contains the hash's key.
    pub hash_key_env: Option<String>,
    /// The fields for access logs, each set as filter state `wasm.edge_claims.<name>`.
    pub access_fields: Vec<AccessField>,
}

/// How a subject is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Subject {
    /// As a keyed hash: equal subjects have equal hashes, which cannot be reversed without the key.
    #[default]
    Hash,
    /// Not at all.
    None,
}

/// A field that access logs can print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessField {
    /// The correlation ID.
    CorrelationId,
    /// `allow/route`, `deny/reason/route` or `shadow/reason/route`.
    Verdict,
    /// The deny reason's code.
    Reason,
    /// The route's name.
    Route,
    /// The token's issuer.
    Issuer,
    /// The token's key ID.
    Kid,
    /// The token's subject as a keyed hash.
    Subject,
    /// `signed`, `header` or `generated`.
    CorrelationSource,
    /// The normalized path, without its query.
    Path,
    /// The trace ID of the request's `traceparent`.
    TraceId,
}

impl AccessField {
    /// The names of the fields in the config.
    pub const WORDS: [(&'static str, Self); 10] = [
        ("correlation_id", Self::CorrelationId),
        ("verdict", Self::Verdict),
        ("reason", Self::Reason),
        ("route", Self::Route),
        ("issuer", Self::Issuer),
        ("kid", Self::Kid),
        ("subject", Self::Subject),
        ("correlation_source", Self::CorrelationSource),
        ("path", Self::Path),
        ("trace_id", Self::TraceId),
    ];

    /// The filter state key `edge_claims.<name>`; Envoy stores it as `wasm.edge_claims.<name>`.
    pub const fn filter_state(self) -> &'static str {
        match self {
            Self::CorrelationId => "edge_claims.correlation_id",
            Self::Verdict => "edge_claims.verdict",
            Self::Reason => "edge_claims.reason",
            Self::Route => "edge_claims.route",
            Self::Issuer => "edge_claims.issuer",
            Self::Kid => "edge_claims.kid",
            Self::Subject => "edge_claims.subject",
            Self::CorrelationSource => "edge_claims.correlation_source",
            Self::Path => "edge_claims.path",
            Self::TraceId => "edge_claims.trace_id",
        }
    }
}

/// The outcome for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It was forwarded.
    Allow,
    /// It was denied.
    Deny(Reason),
    /// It was forwarded by shadow mode; otherwise it would have been denied.
    Shadow(Reason),
}

impl Verdict {
    /// `allow`, `deny` or `shadow`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny(_) => "deny",
            Self::Shadow(_) => "shadow",
        }
    }

    /// The reason why it was or would have been denied.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Allow => None,
            Self::Deny(reason) | Self::Shadow(reason) => Some(reason),
        }
    }

    /// The text for access logs: `allow/orders-read`, `deny/role/orders-write`; `-` if there is no route.
    pub fn text(self, route: Option<&str>) -> String {
        let route = route.unwrap_or("-");
        match self.reason() {
            None => format!("{}/{route}", self.word()),
            Some(reason) => format!("{}/{}/{route}", self.word(), reason.code()),
        }
    }
}

/// One record. Its texts are untrusted; [`Record::to_line`] escapes them.
#[derive(Debug)]
pub struct Record<'a> {
    /// Milliseconds since 1970.
    pub time: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// The route that decided, if one did.
    pub route: Option<&'a str>,
    /// The denial's explanation.
    pub explanation: Option<&'a str>,
    /// The correlation ID.
    pub correlation_id: &'a str,
    /// Where the correlation ID comes from.
    pub correlation_source: Source,
    /// The mesh's request ID (`x-request-id`), as received.
    pub request_id: Option<&'a [u8]>,
    /// The W3C `traceparent`, as received; only its trace ID is shown.
    pub traceparent: Option<&'a [u8]>,
    /// The request's method, as received.
    pub method: &'a [u8],
    /// The request's host, as received.
    pub host: &'a [u8],
    /// The request's path, as received; its query is never shown, because it may contain secrets.
    pub path: &'a [u8],
    /// The verified token's issuer.
    pub issuer: Option<&'a str>,
    /// The verified token's key ID.
    pub kid: Option<&'a str>,
    /// The verified token's subject, hashed.
    pub subject: Option<&'a str>,
}

impl Record<'_> {
    /// The record as one line of JSON, without a line break. It is shorter than 3 kB, because each text is
    /// truncated to its own limit.
    pub fn to_line(&self) -> String {
        let mut line = String::with_capacity(384);
        line.push_str("{\"event\":\"edge_claims\"");
        line.push_str(",\"time\":\"");
        push_rfc3339(&mut line, self.time);
        line.push('"');
        let mut text = |name: &str, limit: usize, value: Option<&[u8]>| {
            push_text(&mut line, name, limit, value);
        };
        let reason = self.verdict.reason().map(|reason| reason.code().as_bytes());
        let source = self.correlation_source.as_str().as_bytes();
        text("outcome", 16, Some(self.verdict.word().as_bytes()));
        text("reason", 32, reason);
        text("route", 64, self.route.map(str::as_bytes));
        text("explanation", 768, self.explanation.map(str::as_bytes));
        text("correlation_id", 128, Some(self.correlation_id.as_bytes()));
        text("correlation_source", 16, Some(source));
        text("request_id", 128, self.request_id);
        text("trace_id", 32, self.traceparent.and_then(trace_id));
        text("method", 32, Some(self.method));
        text("host", 256, Some(self.host));
        text("path", 512, Some(without_query(self.path)));
        text("issuer", 256, self.issuer.map(str::as_bytes));
        text("kid", 128, self.kid.map(str::as_bytes));
        text("subject", 64, self.subject.map(str::as_bytes));
        line.push('}');
        line
    }
}

/// The trace ID of a well-formed `traceparent` (W3C Trace Context §3.2.2).
pub(crate) fn trace_id(traceparent: &[u8]) -> Option<&[u8]> {
    let mut parts = traceparent.split(|byte| *byte == b'-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &[u8], length: usize| {
        part.len() == length
            && part
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let fits = hex(version, 2) && hex(id, 32) && hex(parent, 16) && hex(flags, 2);
    (fits && version != b"ff" && id.iter().any(|byte| *byte != b'0')).then_some(id)
}

#[cfg(test)]
mod tests;
