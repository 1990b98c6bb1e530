//! The parts of a token, read leniently, so that a token that the filter refuses can be shown.

use crate::json::Json;
use crate::token::base64url;

/// The readable parts of a token.
#[derive(Debug)]
pub(super) struct Parts {
    /// The header.
    pub(super) header: Json,
    /// The payload.
    pub(super) claims: Json,
    /// What is wrong with the shape, as far as one part tells.
    pub(super) problem: Option<String>,
}

/// A text of which nothing can be shown.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum NotAToken {
    /// Five parts: encrypted (RFC 7516).
    #[error(
        "an encrypted token (JWE, five parts): the filter reads signed ones (JWS) with three parts"
    )]
    Encrypted,
    /// Not three parts.
    #[error("not a token: must have three parts separated by dots, has {0}")]
    Count(usize),
    /// A part is not base64url.
    #[error("not a token: the {part} is not base64url without padding")]
    Encoding {
        /// Which.
        part: &'static str,
    },
    /// A part is not JSON.
    #[error("not a token: the {part} is not JSON: {problem}")]
    Syntax {
        /// Which.
        part: &'static str,
        /// The parser's message.
        problem: String,
    },
}

/// The token in a text that may have a prefix such as `Bearer ` and white space.
pub(super) fn token_in(text: &str, prefix: &str) -> String {
    let text = text.trim();
    let text = [prefix.trim(), "Bearer"]
        .into_iter()
        .filter(|prefix| !prefix.is_empty())
        .find_map(|prefix| {
            let (head, rest) = text.split_at_checked(prefix.len())?;
            // A token has no white space, so that a prefix ends where it begins.
            let ends = rest.starts_with(|next: char| next.is_ascii_whitespace());
            (head.eq_ignore_ascii_case(prefix) && ends).then_some(rest)
        })
        .unwrap_or(text);
    let black = text
        .chars()
        .filter(|character| !character.is_ascii_whitespace());
    black.collect()
}

impl Parts {
    /// Reads header and payload. The signature is not looked at.
    ///
    /// # Errors
    /// [`NotAToken`]
    pub(super) fn read(token: &str) -> Result<Self, NotAToken> {
        let parts: Vec<&str> = token.split('.').collect();
        let (header, payload, signature) = match parts.as_slice() {
            [header, payload, signature] => (*header, *payload, *signature),
            [_, _, _, _, _] => return Err(NotAToken::Encrypted),
            other => return Err(NotAToken::Count(other.len())),
        };
        let header = json("header", header)?;
        let claims = json("payload", payload)?;
        let problem = if signature.is_empty() {
            Some("the signature is empty".to_owned())
        } else if base64url::decode(signature.as_bytes()).is_none() {
            Some("the signature is not base64url without padding".to_owned())
        } else {
            object_problem("header", &header).or_else(|| object_problem("payload", &claims))
        };
        Ok(Self {
            header,
            claims,
            problem,
        })
    }
}

fn json(part: &'static str, encoded: &str) -> Result<Json, NotAToken> {
    let bytes = base64url::decode(encoded.as_bytes()).ok_or(NotAToken::Encoding { part })?;
    Json::parse(&bytes).map_err(|error| NotAToken::Syntax {
        part,
        problem: error.to_string(),
    })
}

fn object_problem(part: &str, json: &Json) -> Option<String> {
    match json {
        Json::Object(object) => object
            .duplicate_key()
            .map(|name| format!("the {part} has {name:?} twice")),
        other => Some(format!(
            "the {part} is {}, must be an object",
            other.type_name()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_and_white_space_are_no_part_of_the_token() {
        for text in [
            "a.b.c",
            " a.b.c\n",
            "Bearer a.b.c",
            "bearer  a.b.c\r\n",
            "a.b\n.c",
            "Edge a.b.c",
        ] {
            assert_eq!(token_in(text, "Edge "), "a.b.c", "{text:?}");
        }
        assert_eq!(token_in("Bearera.b.c", ""), "Bearera.b.c");
        assert_eq!(token_in("Bearer", ""), "Bearer");
    }

    #[test]
    fn what_cannot_be_shown_is_named() {
        assert_eq!(Parts::read("").unwrap_err(), NotAToken::Count(1));
        assert_eq!(Parts::read("a.b.c.d.e").unwrap_err(), NotAToken::Encrypted);
        let error = Parts::read("e30=.e30.AA").unwrap_err();
        assert_eq!(error, NotAToken::Encoding { part: "header" });
        assert!(matches!(
            Parts::read("e30.AAAA.AA"),
            Err(NotAToken::Syntax {
                part: "payload",
                ..
            })
        ));
    }

    #[test]
    fn a_readable_token_may_still_be_malformed() {
        assert_eq!(Parts::read("e30.e30.AA").unwrap().problem, None);
        for token in [
            "e30.e30.",
            "e30.e30.A",
            "W10.e30.AA",
            "e30.eyJhIjoxLCJhIjoyfQ.AA",
        ] {
            assert!(Parts::read(token).unwrap().problem.is_some(), "{token}");
        }
    }
}
