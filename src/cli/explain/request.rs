//! The request of an explanation, from arguments like those of curl.

use std::path::Path;

use crate::cli::{CommandError, source};
use crate::config::Config;
use crate::headers::Header;

/// The headers of a request, pseudo-headers included.
#[derive(Debug)]
pub(super) struct Request {
    /// `:method`
    pub(super) method: String,
    /// `:authority`
    pub(super) authority: String,
    /// `:path`
    pub(super) path: String,
    scheme: String,
    /// Names in lower case, as Envoy has them.
    fields: Vec<(String, String)>,
    /// The token, without the prefix.
    pub(super) token: Option<String>,
}

/// The host of a URL that is only a path.
const DEFAULT_HOST: &str = "test.example";

impl Request {
    /// Reads a method, a URL (`http(s)://host/path?query#fragment`, or a path) and headers (`Name: value`).
    ///
    /// # Errors
    /// [`CommandError::Usage`]
    pub(super) fn parse(method: &str, url: &str, headers: &[String]) -> Result<Self, CommandError> {
        // A fragment is never sent (RFC 9110 §7.1).
        let url = url.split('#').next().unwrap_or_default();
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
            Some((scheme, _)) => {
                return Err(CommandError::Usage(format!(
                    "{scheme}:// is not supported; write http:// or https://"
                )));
            }
            None => ("https", url),
        };
        let (authority, path) = if rest.starts_with('/') {
            (DEFAULT_HOST, rest.to_owned())
        } else if scheme == "https" && !url.contains("://") {
            return Err(CommandError::Usage(format!(
                "{url:?} is neither a URL nor a path; write https://{url} or /{url}"
            )));
        } else {
            match rest.find(['/', '?']) {
                None => (rest, "/".to_owned()),
                Some(end) => {
                    let (authority, path) = rest.split_at(end);
                    let slash = if path.starts_with('/') { "" } else { "/" };
                    (authority, format!("{slash}{path}"))
                }
            }
        };
        let mut request = Self {
            method: method.to_owned(),
            authority: authority.to_owned(),
            path,
            scheme: scheme.to_owned(),
            fields: Vec::new(),
            token: None,
        };
        for header in headers {
            let Some((name, value)) = header.split_once(':') else {
                return Err(CommandError::Usage(format!(
                    "the header {header:?} has no colon; write 'name: value'"
                )));
            };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
            if name == "host" {
                request.authority = value;
            } else {
                request.fields.push((name, value));
            }
        }
        Ok(request)
    }

    /// Adds the token in a file, in the header and with the prefix of the config.
    ///
    /// # Errors
    /// A [`CommandError`] if the file cannot be read.
    pub(super) fn add_token(&mut self, config: &Config, path: &Path) -> Result<(), CommandError> {
        let source = source::read(path)?;
        let token = source.text.trim();
        let claims = &config.claims;
        let token = match token.split_at_checked(claims.prefix.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(&claims.prefix) => rest,
            _ => token,
        };
        let value = format!("{}{token}", claims.prefix);
        self.token = Some(token.to_owned());
        self.fields.push((claims.header.as_str().to_owned(), value));
        Ok(())
    }

    pub(super) fn headers(&self) -> Vec<Header<'_>> {
        let pseudo = [
            (":method", &self.method),
            (":scheme", &self.scheme),
            (":authority", &self.authority),
            (":path", &self.path),
        ];
        let pseudo = pseudo.into_iter();
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value));
        pseudo
            .chain(fields)
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_curl_sends_them() {
        for (url, authority, path) in [
            ("https://a.example/x?y=1#z", "a.example", "/x?y=1"),
            ("http://a.example:8080", "a.example:8080", "/"),
            ("https://a.example?x=1", "a.example", "/?x=1"),
            ("/x/../y", DEFAULT_HOST, "/x/../y"),
            ("//x", DEFAULT_HOST, "//x"),
        ] {
            let request = Request::parse("GET", url, &[]).unwrap();
            assert_eq!(
                (&*request.authority, &*request.path),
                (authority, path),
                "{url}"
            );
        }
        for url in ["a.example/x", "ftp://a.example/", ""] {
            assert!(Request::parse("GET", url, &[]).is_err(), "{url}");
        }
    }

    #[test]
    fn the_host_header_is_the_authority() {
        let headers = ["Host: b.example".to_owned(), "X-A:  1 ".to_owned()];
        let request = Request::parse("GET", "https://a.example/", &headers).unwrap();
        assert_eq!(request.authority, "b.example");
        assert!(request.headers().contains(&(b"x-a", b"1")));
        assert!(Request::parse("GET", "/", &["x".to_owned()]).is_err());
    }
}
