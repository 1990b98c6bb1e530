//! A request, as the client sent it, and what is new for each.

use uuid::{NoContext, Timestamp, Uuid};

use crate::correlation::Correlation;
use crate::geo::Geo;
use crate::record::{Record, trace_id};
use crate::reply::Form;

/// A request as the client sent it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The host, with a port if the client named one.
    pub host: &'a str,
    /// The path as it will be sent on, without the query.
    pub path: &'a str,
    /// The query.
    pub query: Option<&'a str>,
    /// Where the client is, if `claims.geo` is on and the platform knows it.
    pub geo: Option<&'a Geo>,
    /// Every header, one pair a value, names in any case.
    pub headers: &'a [(String, Vec<u8>)],
}

/// What is new for each request.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// A correlation ID, if the request needs one.
    pub correlation_id: String,
    /// `jti`.
    pub token_id: String,
    /// The secret of a login, if one begins: 244 random bits.
    pub login_secret: [u8; 32],
}

impl<'a> Request<'a> {
    /// The values of a header, in any case of its name.
    pub fn values<'b>(&self, name: &'b str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'b> {
        self.headers
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The correlation ID: made of what the client sent, and what is fresh.
    #[must_use]
    pub fn correlation(&self, header: &str, trust_client: bool, fresh: &Fresh) -> Correlation {
        Correlation::pick(
            self.values(header),
            trust_client,
            fresh.correlation_id.clone(),
        )
    }

    /// The record of this request, before it is decided.
    #[must_use]
    pub fn record(&self, correlation: &Correlation, fresh: &Fresh) -> Record {
        let mut record = Record::new(fresh.now_ms, correlation, self.method, self.host, self.path);
        let mut traces = self.values("traceparent");
        record.trace_id = traces
            .next()
            .filter(|_| traces.next().is_none())
            .and_then(|value| trace_id(std::str::from_utf8(value).ok()?))
            .map(str::to_owned);
        record
    }

    /// The form of an answer that the client can understand.
    #[must_use]
    pub fn form(&self) -> Form {
        Form::of(self.values("content-type").next())
    }

    /// Fetch Metadata says what a request is for; where a client does not send it, GET and HEAD are
    /// taken for navigation.
    pub(super) fn is_navigation(&self) -> bool {
        let mut modes = self.values("sec-fetch-mode");
        self.is_safe()
            && self.form() != Form::Grpc
            && modes.next().is_none_or(|mode| mode == b"navigate")
    }

    /// Whether the client can show a page.
    pub(super) fn accepts_html(&self) -> bool {
        self.values("accept").any(|value| {
            value
                .split(|byte| matches!(byte, b',' | b';'))
                .any(|part| part.trim_ascii().eq_ignore_ascii_case(b"text/html"))
        })
    }

    /// Whether a page of this host, or the user by hand, made the browser send it. A client that does not say so is not
    /// believed.
    pub(super) fn is_own_navigation(&self) -> bool {
        let mut sites = self.values("sec-fetch-site");
        let is_own = matches!(sites.next(), Some(b"same-origin" | b"none"));
        is_own && sites.next().is_none() && matches!(self.method, "GET" | "POST")
    }

    /// Whether it only reads.
    pub(super) fn is_safe(&self) -> bool {
        matches!(self.method, "GET" | "HEAD")
    }

    pub(super) fn path_and_query(&self) -> String {
        match self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_owned(),
        }
    }
}

impl Fresh {
    /// New IDs: version 7 for what is looked up by time, version 4 for what nobody may guess.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        let timestamp = || {
            let nanoseconds = u32::try_from(now_ms % 1000)
                .unwrap_or(0)
                .saturating_mul(1_000_000);
            Timestamp::from_unix(NoContext, now_ms / 1000, nanoseconds)
        };
        Self {
            now_ms,
            correlation_id: Uuid::new_v7(timestamp()).to_string(),
            token_id: Uuid::new_v7(timestamp()).to_string(),
            login_secret: login_secret(),
        }
    }
}

fn login_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    for half in secret.chunks_exact_mut(16) {
        half.copy_from_slice(Uuid::new_v4().as_bytes());
    }
    secret
}

/// The host as the mesh compares it: lower case, without port and trailing dot.
#[must_use]
pub fn canonical_host(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
