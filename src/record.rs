//! The filter's own record of a decision: one JSON line, stable field names, never a token.

use crate::correlation::Source;
use crate::denial::Reason;

/// What is recorded: the config's `log`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The share of allowed requests that are recorded, 0 to 1.
    pub allow: f64,
    /// The share of denied requests that are recorded, 0 to 1.
    pub deny: f64,
    /// The share of requests that shadow mode let through and that are recorded, 0 to 1.
    pub shadow: f64,
    /// Whether subjects are shown, as a keyed hash.
    pub subject: Subject,
    /// The variable of the VM's environment that holds the hash's key.
    pub hash_key_env: Option<String>,
    /// What access logs can print, each as filter state `wasm.edge_claims.<name>`.
    pub access_fields: Vec<AccessField>,
}

/// How a subject is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Subject {
    /// As a keyed hash: the same subject, the same text, and no way back without the key.
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
    /// The path that was judged, without the query.
    Path,
}

impl AccessField {
    /// The words of the config, each with its field.
    pub const WORDS: [(&'static str, Self); 9] = [
        ("correlation_id", Self::CorrelationId),
        ("verdict", Self::Verdict),
        ("reason", Self::Reason),
        ("route", Self::Route),
        ("issuer", Self::Issuer),
        ("kid", Self::Kid),
        ("subject", Self::Subject),
        ("correlation_source", Self::CorrelationSource),
        ("path", Self::Path),
    ];

    /// The filter-state key: `edge_claims.<name>`, which the host stores as `wasm.edge_claims.<name>`.
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
        }
    }
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It went on.
    Allow,
    /// It was answered here.
    Deny(Reason),
    /// It went on, though it would have been denied.
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

    /// Why, where it was or would have been denied.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Allow => None,
            Self::Deny(reason) | Self::Shadow(reason) => Some(reason),
        }
    }

    /// How access logs show it: `allow/orders-read`, `deny/role/orders-write`; `-` for no route.
    pub fn text(self, route: Option<&str>) -> String {
        let route = route.unwrap_or("-");
        match self.reason() {
            None => format!("{}/{route}", self.word()),
            Some(reason) => format!("{}/{}/{route}", self.word(), reason.code()),
        }
    }
}

/// One record. Every text in it may be hostile; [`Record::to_line`] escapes what is not plain ASCII.
#[derive(Debug)]
pub struct Record<'a> {
    /// Milliseconds since 1970.
    pub time: u64,
    /// What the request came to.
    pub verdict: Verdict,
    /// The route that decided, if one did.
    pub route: Option<&'a str>,
    /// Why it was or would have been denied, in words.
    pub explanation: Option<String>,
    /// The correlation ID.
    pub correlation_id: &'a str,
    /// Where the correlation ID comes from.
    pub correlation_source: Source,
    /// The mesh's own request ID (`x-request-id`), as it came.
    pub request_id: Option<&'a [u8]>,
    /// The W3C `traceparent`, as it came; only its trace ID is shown.
    pub traceparent: Option<&'a [u8]>,
    /// The request's method, as it came.
    pub method: &'a [u8],
    /// The request's host, as it came.
    pub host: &'a [u8],
    /// The request's path, as it came; the query is never shown, since it may carry secrets.
    pub path: &'a [u8],
    /// The verified token's issuer.
    pub issuer: Option<&'a str>,
    /// The verified token's key ID.
    pub kid: Option<&'a str>,
    /// The verified token's subject, hashed.
    pub subject: Option<&'a str>,
}

/// The longest text of a record, in bytes of what came.
const MAX_TEXT: usize = 512;

impl Record<'_> {
    /// The record as JSON on one line, without a line break at the end.
    pub fn to_line(&self) -> String {
        let mut line = String::with_capacity(384);
        line.push_str("{\"event\":\"edge_claims\"");
        push_number(&mut line, "time_ms", self.time);
        push_text(&mut line, "verdict", Some(self.verdict.word().as_bytes()));
        push_text(
            &mut line,
            "reason",
            self.verdict.reason().map(|reason| reason.code().as_bytes()),
        );
        push_text(&mut line, "route", self.route.map(str::as_bytes));
        push_text(
            &mut line,
            "explanation",
            self.explanation.as_deref().map(str::as_bytes),
        );
        push_text(
            &mut line,
            "correlation_id",
            Some(self.correlation_id.as_bytes()),
        );
        push_text(
            &mut line,
            "correlation_source",
            Some(self.correlation_source.as_str().as_bytes()),
        );
        push_text(&mut line, "request_id", self.request_id);
        push_text(&mut line, "trace_id", self.traceparent.and_then(trace_id));
        push_text(&mut line, "method", Some(self.method));
        push_text(&mut line, "host", Some(self.host));
        push_text(&mut line, "path", Some(without_query(self.path)));
        push_text(&mut line, "issuer", self.issuer.map(str::as_bytes));
        push_text(&mut line, "kid", self.kid.map(str::as_bytes));
        push_text(&mut line, "subject", self.subject.map(str::as_bytes));
        line.push('}');
        line
    }
}

/// A subject as the first 16 bytes of HMAC-SHA-256 (RFC 2104), in hex: the same subject gives the same
/// text, and nobody without the key can try names.
pub(crate) fn keyed_hash(key: &[u8], subject: &str) -> String {
    let mac = hmac_sha256::HMAC::mac(subject.as_bytes(), key);
    mac.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn without_query(path: &[u8]) -> &[u8] {
    path.split(|byte| matches!(byte, b'?' | b'#'))
        .next()
        .unwrap_or_default()
}

/// The trace ID of a `traceparent` (W3C Trace Context §3.2.2), where it is well-formed.
fn trace_id(traceparent: &[u8]) -> Option<&[u8]> {
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

fn push_number(line: &mut String, name: &str, value: u64) {
    line.push_str(&format!(",\"{name}\":{value}"));
}

/// What is not printable ASCII is escaped: characters as JSON has it (RFC 8259 §7), bytes that are no
/// UTF-8 as `\u00XX`. So one line stays one line, no terminal is steered, and the record is valid JSON
/// whatever came.
fn push_text(line: &mut String, name: &str, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    line.push_str(",\"");
    line.push_str(name);
    line.push_str("\":\"");
    let shown = value.get(..MAX_TEXT).unwrap_or(value);
    for chunk in shown.utf8_chunks() {
        for unit in chunk.valid().encode_utf16() {
            push_unit(line, unit);
        }
        for byte in chunk.invalid() {
            push_unit(line, u16::from(*byte));
        }
    }
    if value.len() > MAX_TEXT {
        line.push_str("...");
    }
    line.push('"');
}

/// One UTF-16 code unit, which is what JSON escapes are made of.
fn push_unit(line: &mut String, unit: u16) {
    match u8::try_from(unit) {
        Ok(b'"') => line.push_str("\\\""),
        Ok(b'\\') => line.push_str("\\\\"),
        Ok(byte @ 0x20..=0x7e) => line.push(char::from(byte)),
        _ => line.push_str(&format!("\\u{unit:04x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record<'static> {
        Record {
            time: 1,
            verdict: Verdict::Deny(Reason::Role),
            route: Some("orders"),
            explanation: None,
            correlation_id: "c-1",
            correlation_source: Source::Signed,
            request_id: None,
            traceparent: None,
            method: b"GET",
            host: b"shop.example.com",
            path: b"/orders?token=secret",
            issuer: None,
            kid: None,
            subject: None,
        }
    }

    #[test]
    fn a_record_is_one_line_of_json_without_the_query() {
        let line = record().to_line();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["verdict"], "deny");
        assert_eq!(value["reason"], "role");
        assert_eq!(value["path"], "/orders");
        assert!(!line.contains("secret"));
    }

    #[test]
    fn hostile_bytes_stay_inside_their_string() {
        let hostile = b"\"\\\n\r\t\x1b[31m\xff\x00\x7f";
        let line = Record {
            path: hostile,
            host: hostile,
            method: hostile,
            ..record()
        }
        .to_line();
        assert!(line.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            value["path"].as_str().unwrap().chars().count(),
            hostile.len()
        );
    }

    #[test]
    fn letters_of_any_script_are_themselves_once_parsed() {
        let explanation = "role: has [Müller, 管理, 😀…], needs any of [a]";
        let line = Record {
            explanation: Some(explanation.to_owned()),
            ..record()
        }
        .to_line();
        assert!(line.is_ascii());
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["explanation"], explanation);
    }

    #[test]
    fn only_a_well_formed_traceparent_gives_a_trace_id() {
        let good = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            trace_id(good),
            Some(b"4bf92f3577b34da6a3ce929d0e0e4736".as_slice())
        );
        let bad: [&[u8]; 4] = [
            b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            b"x",
        ];
        for text in bad {
            assert_eq!(trace_id(text), None);
        }
    }

    #[test]
    fn verdicts() {
        assert_eq!(Verdict::Allow.text(Some("r")), "allow/r");
        assert_eq!(
            Verdict::Deny(Reason::RouteUnknown).text(None),
            "deny/route_unknown/-"
        );
        assert_eq!(
            Verdict::Shadow(Reason::Role).text(Some("r")),
            "shadow/role/r"
        );
    }
}
