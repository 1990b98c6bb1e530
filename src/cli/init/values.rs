//! The values of the flags: what goes into files of several formats as it is.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::cli::keys::generate::generate;
use crate::cli::keys::json::{compact, pretty};
use crate::cli::keys::public;
use crate::policy::host::Authority;
use crate::token::Algorithm;

/// What the files contain.
#[derive(Debug, Clone)]
pub(super) struct Values {
    /// The `iss` of the tokens.
    pub(super) issuer: String,
    /// Their `aud`.
    pub(super) audience: String,
    /// The URL of the keys; `None`: the tokens are signed with a secret, or with `key`.
    pub(super) jwks_url: Option<JwksUrl>,
    /// A new key, whose public part is in the config.
    pub(super) key: Option<KeyPair>,
    /// The image of the filter.
    pub(super) image: Option<ImageName>,
    /// The host of the routes; `None`: every host.
    pub(super) host: Option<String>,
}

/// A new key for ES256.
#[derive(Debug, Clone)]
pub(super) struct KeyPair {
    /// The private JWK, as it is written to a file.
    pub(super) private: String,
    /// The public JWK on one line.
    pub(super) public: String,
}

impl KeyPair {
    /// `None` if the operating system has no random bytes.
    pub(super) fn new() -> Option<Self> {
        let new = generate(Algorithm::Es256, 2048, Some("edge-1"))?;
        let (public, _) = public::part(new.jwk.as_object()?).ok()?;
        Some(Self {
            private: format!("{}\n", pretty(&new.jwk)),
            public: compact(&public),
        })
    }
}

/// The name of an image in a registry, with its digest: what `make image` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageName {
    /// `registry.example.com/edge-claims:1.0.0`
    pub(super) name: String,
    /// The 64 hexadecimal digits of the manifest's SHA-256.
    pub(super) hash: String,
}

impl FromStr for ImageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "must be a name with its digest, like \
             registry.example.com/edge-claims:1.0.0@sha256:…, as `make image` prints it";
        let text = word(text)?;
        let (name, hash) = text.split_once("@sha256:").ok_or(EXPECTED)?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let has_registry = name.split_once('/').is_some_and(|(registry, rest)| {
            !rest.is_empty() && (registry.contains(['.', ':']) || registry == "localhost")
        });
        if hash.len() != 64 || !hash.bytes().all(is_hex) || !has_registry || name.contains("//") {
            return Err(EXPECTED.to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            hash: hash.to_owned(),
        })
    }
}

/// The URL of a key set, and the parts of it that a cluster needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JwksUrl {
    text: String,
    /// Whether the scheme is https.
    pub(super) is_https: bool,
    /// The host, without the port.
    pub(super) host: String,
    /// The port, 443 or 80 if the URL has none.
    pub(super) port: u16,
}

impl FromStr for JwksUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "must be a URL like https://keys.example.com/.well-known/jwks.json";
        let text = word(text)?;
        if text.contains(['#', '@']) {
            return Err(format!("{EXPECTED}, without user information and fragment"));
        }
        let (is_https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(EXPECTED.to_owned()),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let parsed = Authority::parse(authority.as_bytes())
            .map_err(|error| format!("{EXPECTED}: {error}"))?;
        let host = String::from_utf8_lossy(parsed.host()).into_owned();
        if host.starts_with('[') || (is_https && host.parse::<Ipv4Addr>().is_ok()) {
            return Err(format!(
                "{EXPECTED}: the certificate of the server is checked for a host name, not for an address"
            ));
        }
        let port = parsed.port().unwrap_or(if is_https { 443 } else { 80 });
        Ok(Self {
            text,
            is_https,
            host,
            port,
        })
    }
}

impl fmt::Display for JwksUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A text that needs no escape within the quotes of YAML, JSON, Markdown and a shell.
pub(super) fn word(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'`\\$".contains(&byte);
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else if text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("must be printable ASCII without spaces, quotes, `\\` and `$`".to_owned())
    }
}

/// A host with an optional port, as a client names it.
pub(super) fn host(text: &str) -> Result<String, String> {
    Authority::parse(text.as_bytes())
        .map(|_| text.to_owned())
        .map_err(|error| format!("{error}; write a name such as shop.example.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_the_parts_of_a_cluster() {
        for (text, is_https, host, port) in [
            ("https://k.example/jwks", true, "k.example", 443),
            ("https://k.example:8443", true, "k.example", 8443),
            ("http://K.example?a=b", false, "k.example", 80),
            ("http://127.0.0.1:8000/jwks", false, "127.0.0.1", 8000),
        ] {
            let url: JwksUrl = text.parse().unwrap();
            assert_eq!((url.is_https, &*url.host, url.port), (is_https, host, port));
            assert_eq!(url.to_string(), text);
        }
        for text in [
            "",
            "k.example/jwks",
            "ftp://k.example/",
            "https://",
            "https:///jwks",
            "https://user@k.example/",
            "https://k.example/#a",
            "https://k.example:http/",
            "https://k example/",
            "https://k.example/\n",
            "https://k.example/\"",
            "https://[::1]/",
            "https://10.0.0.1/",
        ] {
            assert!(text.parse::<JwksUrl>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_image_has_a_registry_and_a_digest() {
        let hash = "0123456789abcdef".repeat(4);
        for name in [
            "registry.example.com/a/b:1.0.0",
            "localhost:5000/b",
            "localhost/b:1",
        ] {
            let image: ImageName = format!("{name}@sha256:{hash}").parse().unwrap();
            assert_eq!((&*image.name, &*image.hash), (name, &*hash));
        }
        for text in [
            "registry.example.com/b:1.0.0".to_owned(),
            format!("registry.example.com/b:1.0.0@sha256:{}", &hash[1..]),
            format!("registry.example.com/b@sha256:{}", hash.to_uppercase()),
            format!("oci://registry.example.com/b:1.0.0@sha256:{hash}"),
            format!("edge-claims:1.0.0@sha256:{hash}"),
            format!("team/edge-claims:1.0.0@sha256:{hash}"),
            format!("registry.example.com/@sha256:{hash}"),
            hash.clone(),
        ] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }

    #[test]
    fn words_need_no_escape() {
        assert_eq!(
            word("https://a/b?c=d&e"),
            Ok("https://a/b?c=d&e".to_owned())
        );
        for text in ["", "a b", "a\"", "it's", "$(x)", "`x`", "a\\b", "é", "a\n"] {
            assert!(word(text).is_err(), "{text:?}");
        }
    }
}
