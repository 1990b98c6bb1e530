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
    /// The path that was judged, without its query.
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
    pub explanation: Option<&'a str>,
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

impl Record<'_> {
    /// The record as JSON on one line, without a line break at the end. It has less than 3 kB, whatever
    /// the request holds: each text is cut at its own limit.
    pub fn to_line(&self) -> String {
        let mut line = String::with_capacity(384);
        line.push_str("{\"event\":\"edge_claims\"");
        push_number(&mut line, "time_ms", self.time);
        let mut text = |name: &str, limit: usize, value: Option<&[u8]>| {
            push_text(&mut line, name, limit, value);
        };
        let reason = self.verdict.reason().map(|reason| reason.code().as_bytes());
        let source = self.correlation_source.as_str().as_bytes();
        text("verdict", 16, Some(self.verdict.word().as_bytes()));
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

/// A text that access logs may print raw: at most 256 characters; what is not printable ASCII, and what
/// could end a field of a text log, becomes `_`.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .take(256)
        .map(|letter| match letter {
            '"' | '\\' => '_',
            letter if letter.is_ascii_graphic() => letter,
            _ => '_',
        })
        .collect()
}

/// A path that access logs may print raw: at most 512 bytes of it, without the query; what is not
/// printable ASCII, `"` and `\` are percent-encoded.
pub(crate) fn plain_path(path: &[u8]) -> String {
    let path = without_query(path);
    let mut text = String::with_capacity(path.len());
    for byte in path.get(..512).unwrap_or(path) {
        match byte {
            b'"' | b'\\' => text.push_str(&format!("%{byte:02X}")),
            byte if byte.is_ascii_graphic() => text.push(char::from(*byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
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

pub(crate) fn without_query(path: &[u8]) -> &[u8] {
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

/// What is not printable ASCII is escaped: characters as in RFC 8259 §7, bytes that are not UTF-8 as
/// `\u00XX`. So one record is one line, no terminal is controlled by it, and it is valid JSON whatever the
/// request held. `limit` is the most bytes that the escaped text may have; `...` marks what was cut.
fn push_text(line: &mut String, name: &str, limit: usize, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    line.push_str(",\"");
    line.push_str(name);
    line.push_str("\":\"");
    let end = line.len().saturating_add(limit);
    'text: for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            let before = line.len();
            for unit in character.encode_utf16(&mut [0; 2]) {
                push_unit(line, *unit);
            }
            if line.len() > end {
                line.truncate(before);
                line.push_str("...");
                break 'text;
            }
        }
        for byte in chunk.invalid() {
            let before = line.len();
            push_unit(line, u16::from(*byte));
            if line.len() > end {
                line.truncate(before);
                line.push_str("...");
                break 'text;
            }
        }
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
            explanation: Some(explanation),
            ..record()
        }
        .to_line();
        assert!(line.is_ascii());
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["explanation"], explanation);
    }

    #[test]
    fn a_record_is_short_whatever_the_request_holds() {
        let long = vec![0xff; 100_000];
        let text = "\u{7}".repeat(10_000);
        let line = Record {
            route: Some(&text),
            explanation: Some(&text),
            correlation_id: &text,
            request_id: Some(&long),
            traceparent: Some(&long),
            method: &long,
            host: &long,
            path: &long,
            issuer: Some(&text),
            kid: Some(&text),
            subject: Some(&text),
            ..record()
        }
        .to_line();
        assert!(line.len() < 3_000, "{}", line.len());
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }

    #[test]
    fn a_path_in_an_access_log_is_printable_and_has_no_query() {
        assert_eq!(plain_path(b"/a/\"b\\\xff?token=x"), "/a/%22b%5C%FF");
        assert_eq!(plain_path(&[b'/'; 2_000]).len(), 512);
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
