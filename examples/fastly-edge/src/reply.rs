//! The answers that the edge gives itself: each with the correlation ID, none of them cacheable.

use serde_json::json;

/// An answer of the edge's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, the correlation ID's among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// What the client can understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// RFC 9457 problem JSON.
    Problem,
    /// gRPC: status 200, the rest in `grpc-status`.
    Grpc,
}

impl Form {
    /// The form for a request's content type.
    #[must_use]
    pub fn of(content_type: Option<&[u8]>) -> Self {
        match content_type {
            Some(value) if value.starts_with(b"application/grpc") => Self::Grpc,
            _ => Self::Problem,
        }
    }
}

impl Reply {
    /// A refusal or a failure, with the code that the log has.
    #[must_use]
    pub fn problem(
        form: Form,
        status: u16,
        code: &str,
        correlation_header: &str,
        correlation_id: &str,
    ) -> Self {
        let mut reply = Self::empty(status, correlation_header, correlation_id);
        match form {
            Form::Problem => {
                reply.set("content-type", "application/problem+json");
                reply.body = json!({
                    "type": "about:blank",
                    "title": title(status),
                    "status": status,
                    "code": code,
                    "correlation_id": correlation_id,
                })
                .to_string();
            }
            Form::Grpc => {
                reply.status = 200;
                reply.set("content-type", "application/grpc");
                reply.set("grpc-status", if status == 401 { "16" } else { "14" });
                reply.set("grpc-message", code);
            }
        }
        if status == 401 {
            // RFC 9110 §15.5.2 asks for a challenge; the credential is a cookie.
            reply.set("www-authenticate", "Cookie realm=\"edge\"");
        }
        reply
    }

    /// A redirect of the login, with its cookies.
    #[must_use]
    pub fn redirect(
        location: &str,
        cookies: &[String],
        correlation_header: &str,
        correlation_id: &str,
    ) -> Self {
        let mut reply = Self::empty(302, correlation_header, correlation_id);
        reply.set("location", location);
        // The URL of a callback has a code: no later request shall name it.
        reply.set("referrer-policy", "no-referrer");
        for cookie in cookies {
            reply.add_cookie(cookie);
        }
        reply
    }

    /// The page that a user sees when a login fails. `code` is one of the fixed codes and the ID is well-formed,
    /// so nothing of it can be markup.
    #[must_use]
    pub fn page(status: u16, code: &str, correlation_header: &str, correlation_id: &str) -> Self {
        let mut reply = Self::empty(status, correlation_header, correlation_id);
        reply.set("content-type", "text/html; charset=utf-8");
        reply.set(
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        );
        reply.set("referrer-policy", "no-referrer");
        reply.body = format!(
            "<!doctype html>\n<html lang=\"en\"><title>Login failed</title>\n<h1>Login failed</h1>\n\
             <p>You were not logged in ({code}). <a href=\"/\">Go to the start page</a> to try again.</p>\n\
             <p>If you report this, add the ID <code>{correlation_id}</code>.</p>\n</html>\n"
        );
        reply
    }

    /// Adds a `Set-Cookie`.
    pub fn add_cookie(&mut self, cookie: &str) {
        self.set("set-cookie", cookie);
    }

    fn empty(status: u16, correlation_header: &str, correlation_id: &str) -> Self {
        let mut reply = Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        };
        reply.set("cache-control", "no-store");
        reply.set(correlation_header, correlation_id);
        reply
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        Some(value)
    }
}

const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        502 => "Bad Gateway",
        _ => "Service Unavailable",
    }
}
