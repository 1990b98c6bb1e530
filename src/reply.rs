//! The response to a denied request: status, headers, RFC 9457 problem JSON or a gRPC status.

use crate::denial::{Challenge, Reason, StepUp};

/// The content of responses: the config's `responses`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether the response names the reason's code.
    pub detail: Detail,
    /// The realm of the challenge (RFC 9110 §11.5); it is not escaped, so it must not contain `"` or `\`.
    pub realm: String,
    /// The page that explains the codes; the problem's `type` is this URL followed by `#code`.
    pub docs_url: Option<String>,
}

/// Whether a response names the reason's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// In body and challenge.
    #[default]
    Code,
    /// No: the status only.
    None,
}

/// The input of [`Reply::new`].
#[derive(Debug)]
pub struct DeniedRequest<'a> {
    /// The deny reason.
    pub reason: Reason,
    /// The route's status for this reason.
    pub status: Option<u16>,
    /// The route that decided, if one did.
    pub route: Option<&'a str>,
    /// The correlation ID.
    pub correlation_id: &'a str,
    /// The response header for the correlation ID, if it is sent.
    pub correlation_header: Option<&'a str>,
    /// Set where the reason is [`Reason::StepUp`].
    pub step_up: Option<&'a StepUp>,
    /// Whether the request is gRPC.
    pub grpc: bool,
}

/// A response that the host sends in place of the upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header names and values, in order.
    pub headers: Vec<(String, String)>,
    /// Problem JSON; for gRPC a short plain text, which the host sends as `grpc-message`.
    pub body: String,
    /// `%RESPONSE_CODE_DETAILS%`: `edge_claims_denied{reason}{route}`.
    pub details: String,
    /// gRPC status code (google.rpc.Code).
    pub grpc_status: i32,
}

impl Reply {
    /// The response to a denied request.
    pub fn new(denied: &DeniedRequest<'_>, settings: &Settings) -> Self {
        let reason = denied.reason;
        let status = denied.status.unwrap_or(reason.status());
        let mut headers = Vec::with_capacity(5);
        if let Some(challenge) = challenge(denied, settings, status) {
            headers.push(("www-authenticate".to_owned(), challenge));
        }
        if status == 503 {
            headers.push(("retry-after".to_owned(), RETRY_AFTER_SECONDS.to_owned()));
        }
        headers.push(("cache-control".to_owned(), "no-store".to_owned()));
        if let Some(name) = denied.correlation_header {
            headers.push((name.to_owned(), denied.correlation_id.to_owned()));
        }
        let body = if denied.grpc {
            plain(denied, settings, status)
        } else {
            headers.push((
                "content-type".to_owned(),
                "application/problem+json".to_owned(),
            ));
            problem(denied, settings, status)
        };
        Self {
            status,
            headers,
            body,
            details: details(reason, denied.route),
            grpc_status: grpc_status(status),
        }
    }
}

/// What access logs show as `%RESPONSE_CODE_DETAILS%`.
pub(crate) fn details(reason: Reason, route: Option<&str>) -> String {
    format!(
        "edge_claims_denied{{{}}}{{{}}}",
        reason.code(),
        route.unwrap_or("-")
    )
}

const RETRY_AFTER_SECONDS: &str = "5";

fn challenge(denied: &DeniedRequest<'_>, settings: &Settings, status: u16) -> Option<String> {
    let reason = denied.reason;
    let mut text = format!("Bearer realm=\"{}\"", settings.realm);
    match reason.challenge() {
        Challenge::None => return (status == 401).then_some(text),
        Challenge::Bare => return Some(text),
        Challenge::InvalidToken => text.push_str(", error=\"invalid_token\""),
        Challenge::InsufficientScope => text.push_str(", error=\"insufficient_scope\""),
        Challenge::InsufficientUserAuthentication => {
            text.push_str(", error=\"insufficient_user_authentication\"");
        }
    }
    if settings.detail == Detail::Code {
        text.push_str(&format!(", error_description=\"{}\"", reason.code()));
    }
    if let Some(step_up) = denied.step_up {
        if !step_up.acr_values.is_empty() {
            text.push_str(&format!(
                ", acr_values=\"{}\"",
                step_up.acr_values.join(" ")
            ));
        }
        if let Some(seconds) = step_up.max_age {
            text.push_str(&format!(", max_age=\"{seconds}\""));
        }
    }
    Some(text)
}

/// The problem document (RFC 9457 §3).
fn problem(denied: &DeniedRequest<'_>, settings: &Settings, status: u16) -> String {
    let code = (settings.detail == Detail::Code).then(|| denied.reason.code());
    let kind = match (&settings.docs_url, code) {
        (Some(url), Some(code)) => format!("{url}#{code}"),
        _ => "about:blank".to_owned(),
    };
    let mut members = serde_json::Map::new();
    members.insert("type".into(), kind.into());
    members.insert("title".into(), title(status).into());
    members.insert("status".into(), status.into());
    if let Some(code) = code {
        members.insert("code".into(), code.into());
    }
    members.insert("correlation_id".into(), denied.correlation_id.into());
    serde_json::Value::Object(members).to_string()
}

fn plain(denied: &DeniedRequest<'_>, settings: &Settings, status: u16) -> String {
    match settings.detail {
        Detail::Code => {
            format!("{} ({})", denied.reason.code(), denied.correlation_id)
        }
        Detail::None => format!("{} ({})", title(status), denied.correlation_id),
    }
}

const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Denied",
    }
}

/// The gRPC code for a status: Envoy's mapping, except that 400 is `INVALID_ARGUMENT`.
const fn grpc_status(status: u16) -> i32 {
    match status {
        400 => 3,       // INVALID_ARGUMENT
        401 => 16,      // UNAUTHENTICATED
        403 => 7,       // PERMISSION_DENIED
        404 => 5,       // NOT_FOUND
        429 | 431 => 8, // RESOURCE_EXHAUSTED
        503 => 14,      // UNAVAILABLE
        _ => 2,         // UNKNOWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            detail: Detail::Code,
            realm: "mesh".into(),
            docs_url: None,
        }
    }

    fn denied(reason: Reason) -> DeniedRequest<'static> {
        DeniedRequest {
            reason,
            status: None,
            route: Some("orders"),
            correlation_id: "c-1",
            correlation_header: Some("x-correlation-id"),
            step_up: None,
            grpc: false,
        }
    }

    fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
        reply
            .headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn every_reason_has_a_complete_response() {
        for reason in Reason::ALL {
            let reply = Reply::new(&denied(reason), &settings());
            assert_eq!(header(&reply, "cache-control"), Some("no-store"));
            assert_eq!(header(&reply, "x-correlation-id"), Some("c-1"));
            assert_eq!(
                header(&reply, "content-type"),
                Some("application/problem+json")
            );
            assert_eq!(
                reply.status == 401 || reason == Reason::Scope,
                header(&reply, "www-authenticate").is_some(),
                "{reason:?}"
            );
            assert_eq!(reply.status == 503, header(&reply, "retry-after").is_some());
            let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(body["code"], reason.code());
            assert_eq!(body["status"], reply.status);
            assert_eq!(body["correlation_id"], "c-1");
            assert_eq!(
                reply.details,
                format!("edge_claims_denied{{{}}}{{orders}}", reason.code())
            );
        }
    }

    #[test]
    fn challenges_follow_rfc_6750_and_rfc_9470() {
        let challenge = |reason| {
            header(
                &Reply::new(&denied(reason), &settings()),
                "www-authenticate",
            )
            .map(str::to_owned)
        };
        assert_eq!(
            challenge(Reason::ClaimsMissing).as_deref(),
            Some("Bearer realm=\"mesh\"")
        );
        assert_eq!(
            challenge(Reason::Expired).as_deref(),
            Some("Bearer realm=\"mesh\", error=\"invalid_token\", error_description=\"expired\"")
        );
        assert!(
            challenge(Reason::Scope)
                .unwrap()
                .contains("error=\"insufficient_scope\"")
        );
        let step_up = StepUp {
            acr_values: vec!["urn:mfa".into()],
            max_age: Some(900),
        };
        let denied = DeniedRequest {
            step_up: Some(&step_up),
            ..denied(Reason::StepUp)
        };
        assert_eq!(
            header(&Reply::new(&denied, &settings()), "www-authenticate"),
            Some(
                "Bearer realm=\"mesh\", error=\"insufficient_user_authentication\", error_description=\"step_up\", acr_values=\"urn:mfa\", max_age=\"900\""
            )
        );
    }

    #[test]
    fn detail_none_omits_the_reason() {
        let settings = Settings {
            detail: Detail::None,
            docs_url: Some("https://d".into()),
            ..settings()
        };
        for reason in Reason::ALL {
            let reply = Reply::new(&denied(reason), &settings);
            let shown = format!("{:?}{}", reply.headers, reply.body);
            if reason.code().contains('_') {
                assert!(!shown.contains(reason.code()), "{shown}");
            }
        }
    }

    #[test]
    fn a_status_without_a_standard_title_has_the_title_denied() {
        let denied = DeniedRequest {
            status: Some(418),
            ..denied(Reason::Role)
        };
        let body = Reply::new(&denied, &settings()).body;
        assert!(body.contains("\"title\":\"Denied\""), "{body}");
    }

    #[test]
    fn a_grpc_response_has_plain_text_and_a_grpc_status() {
        let reply = Reply::new(
            &DeniedRequest {
                grpc: true,
                ..denied(Reason::Role)
            },
            &settings(),
        );
        assert_eq!((reply.grpc_status, reply.body.as_str()), (7, "role (c-1)"));
        assert_eq!(header(&reply, "content-type"), None);
    }
}
