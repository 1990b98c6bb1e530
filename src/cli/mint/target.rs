//! The request that a token is bound to: `--for 'METHOD URL'`.

use crate::policy::host::Authority;
use crate::token::LiveRequest;

/// A request as it arrives at the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Target {
    /// `:method`
    pub(in crate::cli) method: String,
    /// `:path`, with the query.
    pub(in crate::cli) path: String,
    /// The canonical host: lower case, no port, no trailing dot.
    pub(in crate::cli) host: String,
}

impl Target {
    /// Reads `METHOD URL`, or a URL alone for GET.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let (method, url) = match (words.next(), words.next(), words.next()) {
            (Some(url), None, None) => ("GET", url),
            (Some(method), Some(url), None) => (method, url),
            _ => return Err("must be 'METHOD URL', like 'GET https://shop.example.com/a'".into()),
        };
        let is_method = |byte: u8| byte.is_ascii_uppercase() || b"-_".contains(&byte);
        if !method.bytes().all(is_method) {
            return Err("the method must have capital letters, like GET".into());
        }
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"))
            .ok_or("the URL must be absolute, like https://shop.example.com/orders")?;
        if url.contains('#') {
            return Err("the URL must have no fragment; a client does not send it".into());
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the URL must be percent-encoded, as a client sends it".into());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let authority = Authority::parse(authority.as_bytes())
            .map_err(|error| format!("the URL's host: {error}"))?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            method: method.to_owned(),
            path: format!("{slash}{path}"),
            host: String::from_utf8_lossy(authority.host()).into_owned(),
        })
    }

    /// The path without the query.
    pub(in crate::cli) fn path_only(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// The request as the verifier compares it with claims.
    pub(in crate::cli) fn live(&self) -> LiveRequest<'_> {
        LiveRequest {
            method: self.method.as_bytes(),
            path: self.path.as_bytes(),
            host: self.host.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(String, String, String)> {
        let target = Target::parse(text).ok()?;
        Some((target.method, target.path, target.host))
    }

    #[test]
    fn a_request_is_read_as_it_arrives() {
        let expected = |method: &str, path: &str, host: &str| {
            Some((method.to_owned(), path.to_owned(), host.to_owned()))
        };
        assert_eq!(
            parse("POST https://Shop.Example.com:8443/a%2Fb?x=1&y"),
            expected("POST", "/a%2Fb?x=1&y", "shop.example.com")
        );
        assert_eq!(parse("http://a"), expected("GET", "/", "a"));
        assert_eq!(parse("GET http://a.?q"), expected("GET", "/?q", "a"));
        assert_eq!(
            parse("GET http://[2001:db8::1]/x"),
            expected("GET", "/x", "[2001:db8::1]")
        );
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "",
            "GET",
            "/orders",
            "GET /orders",
            "get https://a/",
            "GET https:///",
            "GET ftp://a/",
            "GET https://a/ b",
            "GET https://u@a/",
            "GET https://a/#f",
            "GET https://a/ü",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
