//! The log line: one JSON object per request, whatever became of it. README.md documents the fields.

use serde::Serialize;

use crate::correlation::{Correlation, Source};
use crate::login::Step;

/// The most characters of host and path that a line holds.
const MAX_TEXT: usize = 1024;

/// What became of the request, at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Sent to the mesh, which answered.
    Forwarded,
    /// Sent to log in.
    Redirected,
    /// Came back from the login, got a session, and was sent to the page that it wanted.
    LoggedIn,
    /// The session was ended.
    LoggedOut,
    /// Refused: no session, and not a request that a login helps.
    Denied,
    /// The edge could not decide, or the mesh did not answer.
    Failed,
}

/// One line of the log. No token, no cookie and no claim of the session is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When the request arrived: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// The correlation ID, the same in the mesh's access log.
    pub correlation_id: String,
    /// `generated`, `client` or `login`.
    pub correlation_source: Source,
    /// The client's own ID, where it is well-formed and not the one in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_correlation_id: Option<String>,
    /// The client sent something that is no ID.
    #[serde(skip_serializing_if = "is_false")]
    pub client_correlation_malformed: bool,
    /// What became of the request.
    pub outcome: Outcome,
    /// Which step of a login this is, where it is one. All steps of a login have one correlation ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<Step>,
    /// Why, where it was not simply forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What the edge could not load or reach; never a value of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The status that the client got.
    pub status: u16,
    /// The method.
    pub method: String,
    /// The host, as the client named it.
    pub host: String,
    /// The path, without the query.
    pub path: String,
    /// The keyed hash of the session's subject, where there is a session and a `log_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `kid` of the edge claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// `jti` of the edge claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The trace ID of the client's `traceparent` (W3C Trace Context §3.2), which is passed on untouched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// How many headers were taken from the client's request because only the edge or the mesh may set them.
    pub stripped_headers: u32,
    /// Milliseconds until the answer's headers.
    pub duration_ms: u64,
    /// Microseconds of them that the edge itself took, without its waits for mesh and provider.
    pub edge_us: u64,
    /// Microseconds of them that the edge waited for the mesh, where it sent the request there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_us: Option<u64>,
    /// Microseconds of them that the edge waited for the provider, where it asked for tokens or keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_us: Option<u64>,
    /// The point of presence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop: Option<String>,
    /// The version of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_version: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Record {
    /// A record of a request that is not decided yet: as long as nothing else is said, it failed.
    #[must_use]
    pub fn new(
        now_ms: u64,
        correlation: &Correlation,
        method: &str,
        host: &str,
        path: &str,
    ) -> Self {
        Self {
            time: rfc3339(now_ms),
            correlation_id: correlation.id.clone(),
            correlation_source: correlation.source,
            client_correlation_id: correlation.client_id.clone(),
            client_correlation_malformed: correlation.client_malformed,
            outcome: Outcome::Failed,
            login: None,
            reason: None,
            error: None,
            status: 503,
            method: bounded(method),
            host: bounded(host),
            path: bounded(path),
            subject: None,
            kid: None,
            token_id: None,
            trace_id: None,
            stripped_headers: 0,
            duration_ms: 0,
            edge_us: 0,
            mesh_us: None,
            provider_us: None,
            pop: None,
            service_version: None,
        }
    }

    /// The line, without its end. JSON escapes what would break the line (RFC 8259 §7).
    #[must_use]
    pub fn to_line(&self) -> String {
        // Strings, numbers and unit variants: this cannot fail, and if it did, an empty line tells.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// The trace ID of a `traceparent`, if that is one.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            && (length == 2 || text.bytes().any(|byte| byte != b'0'))
    };
    (hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16)).then_some(trace)
}

/// The keyed hash of a subject: HMAC-SHA-256, its first 16 bytes in hex. Who has no key cannot try
/// names out.
#[must_use]
pub fn subject_hash(key: &[u8], subject: &str) -> String {
    let mac = hmac_sha256::HMAC::mac(subject.as_bytes(), key);
    mac.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Milliseconds since 1970 as RFC 3339 in UTC, the form that Envoy's `%START_TIME%` has too.
#[must_use]
pub fn rfc3339(now_ms: u64) -> String {
    let seconds = now_ms / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        now_ms % 1000
    )
}

/// Days since 1970 as year, month, day; Howard Hinnant's `civil_from_days`, for days from 1970 on.
#[allow(clippy::arithmetic_side_effects)] // `days` is at most u64::MAX / 86_400_000: far from any overflow
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Record {
        let correlation = Correlation {
            id: "c-1".to_owned(),
            source: Source::Generated,
            client_id: Some("x".to_owned()),
            client_malformed: true,
        };
        let some = || Some("s".to_owned());
        Record {
            reason: Some("session_missing"),
            error: some(),
            subject: some(),
            kid: some(),
            token_id: some(),
            trace_id: some(),
            mesh_us: Some(1),
            provider_us: Some(1),
            login: Some(Step::Start),
            pop: some(),
            service_version: some(),
            ..Record::new(0, &correlation, "GET", "shop.example.com", "/")
        }
    }

    #[test]
    fn every_field_is_documented_and_nothing_else_is() {
        let readme = include_str!("../README.md");
        let (_, table) = readme.split_once("## The log line").unwrap();
        let documented: Vec<&str> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let written = serde_json::to_value(full()).unwrap();
        let mut written: Vec<&str> = written
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut sorted = documented.clone();
        sorted.sort_unstable();
        written.sort_unstable();
        assert_eq!(sorted, written);
    }

    #[test]
    fn a_line_stays_one_line() {
        let correlation = Correlation::pick([].into_iter(), false, "c".to_owned());
        let hostile = "/\n{\"a\":1}\u{1b}[31m\u{2028}";
        let line = Record::new(0, &correlation, "G\nET", "h\r\nx", hostile).to_line();
        assert!(!line.bytes().any(|byte| byte < 0x20), "{line}");
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["path"], hostile);
        let long = Record::new(0, &correlation, "GET", "h", &"/a".repeat(5000));
        assert_eq!(long.path.len(), MAX_TEXT);
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_800_000_000_007), "2027-01-15T08:00:00.007Z");
        assert_eq!(rfc3339(4_107_542_399_000), "2100-02-28T23:59:59.000Z");
        assert_eq!(rfc3339(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_trace_id_is_taken_from_a_valid_traceparent_only() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(
            trace_id(&format!("00-{trace}-b7ad6b7169203331-01")),
            Some(trace)
        );
        for bad in [
            "",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7-b7ad6b7169203331-01",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_subject_is_hashed_with_the_key() {
        // RFC 4231 §4.3, test case 2, cut to 16 bytes.
        assert_eq!(
            subject_hash(b"Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c7"
        );
    }
}
