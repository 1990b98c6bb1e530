//! Parses a compact JWS (RFC 7515 §7.1) whose payload is a claims set (RFC 7519). Does not verify it.

use smol_str::SmolStr;

use crate::bytes;
use crate::claims::Claims;
use crate::json::{Json, Object};
use crate::token::base64url;
use crate::token::verified::Times;

/// The maximum size of a token, in bytes; also the maximum of the config's `max_bytes`.
pub(crate) const MAX_BYTES: usize = 65_536;

/// A well-formed, **unverified** token.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    /// The signed bytes: encoded header, dot, encoded payload (RFC 7515 §5.1).
    pub signing_input: &'a [u8],
    /// The decoded signature, not empty.
    pub signature: Vec<u8>,
    /// `alg`, unchecked.
    pub algorithm: SmolStr,
    /// `kid`
    pub kid: Option<SmolStr>,
    /// `typ`
    pub token_type: Option<SmolStr>,
    /// The payload.
    pub claims: Claims,
    /// `exp`, `nbf` and `iat`.
    pub times: Times,
}

/// The token is not a compact JWS with a claims set, or has members that are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'a> Jws<'a> {
    /// Parses a token.
    ///
    /// # Errors
    /// [`Malformed`] unless there are exactly three non-empty parts of strict base64url, header and
    /// payload are JSON objects without duplicate names at any depth, and their registered members
    /// have the types of RFC 7515 §4.1 and RFC 7519 §4.1. `crit`, `b64`, `zip` and `salt` are rejected,
    /// because they change the meaning of the token (RFC 7515 §4.1.11, RFC 7797 §3). An embedded `jwk`
    /// is rejected, because its only use here would be an attack.
    pub(crate) fn parse(token: &'a [u8]) -> Result<Self, Malformed> {
        Self::parse_after(&mut LastHeader::default(), token)
    }

    /// Like [`Self::parse`], but reuses the last header if it is equal.
    pub(super) fn parse_after(last: &mut LastHeader, token: &'a [u8]) -> Result<Self, Malformed> {
        if token.len() > MAX_BYTES {
            return Err(Malformed);
        }
        let token = std::str::from_utf8(token).map_err(|_| Malformed)?;
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Malformed)?;
        // A fourth part would leave a dot in the payload, which is outside the alphabet.
        let signature = base64url::decode(signature.as_bytes())
            .filter(|bytes| !bytes.is_empty())
            .ok_or(Malformed)?;
        let header = last.or_parse(header)?;
        let payload = object(payload)?;
        let times = check_claims(&payload)?;
        Ok(Self {
            signing_input: signing_input.as_bytes(),
            signature,
            algorithm: header.algorithm,
            kid: header.kid,
            token_type: header.token_type,
            claims: Claims::from(payload),
            times,
        })
    }

    /// The payload's `iss`, unverified.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Json::as_str)
    }
}

/// The members of a header that are used (RFC 7515 §4.1).
#[derive(Debug, Clone)]
struct Header {
    algorithm: SmolStr,
    kid: Option<SmolStr>,
    token_type: Option<SmolStr>,
}

/// The last well-formed header. Most tokens of one key have the same header.
#[derive(Debug, Default)]
pub(super) struct LastHeader(Option<(Box<str>, Header)>);

impl LastHeader {
    fn or_parse(&mut self, encoded: &str) -> Result<Header, Malformed> {
        if let Some((known, header)) = &self.0
            && bytes::equal(known.as_bytes(), encoded.as_bytes())
        {
            return Ok(header.clone());
        }
        let header = object(encoded)?;
        check_header(&header)?;
        let header = Header {
            algorithm: text(&header, "alg")?.ok_or(Malformed)?,
            kid: text(&header, "kid")?,
            token_type: text(&header, "typ")?,
        };
        self.0 = Some((encoded.into(), header.clone()));
        Ok(header)
    }
}

fn object(encoded: &str) -> Result<Object, Malformed> {
    let bytes = base64url::decode(encoded.as_bytes()).ok_or(Malformed)?;
    match Json::parse_strict(&bytes) {
        Ok(Json::Object(object)) => Ok(object),
        _ => Err(Malformed),
    }
}

/// An optional member that must be a string.
fn text(object: &Object, name: &str) -> Result<Option<SmolStr>, Malformed> {
    match object.get(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Malformed),
    }
}

/// Checks the types of RFC 7515 §4.1. Key references (`jku`, `x5u`, `x5c`, …) must be well-formed and are
/// never used.
fn check_header(header: &Object) -> Result<(), Malformed> {
    for (name, value) in header.iter() {
        let is_valid = match name {
            "crit" | "b64" | "zip" | "salt" | "jwk" => false,
            "alg" | "kid" | "typ" | "cty" | "jku" | "x5u" | "x5t" | "x5t#S256" => {
                value.as_str().is_some()
            }
            "x5c" => is_list_of_strings(value),
            _ => true,
        };
        if !is_valid {
            return Err(Malformed);
        }
    }
    Ok(())
}

/// Checks the types of RFC 7519 §4.1, and of `nonce` (OpenID Connect Core §2).
fn check_claims(payload: &Object) -> Result<Times, Malformed> {
    let mut times = Times::default();
    for (name, value) in payload.iter() {
        let is_valid = match name {
            "iss" | "sub" | "jti" | "nonce" => value.as_str().is_some(),
            "aud" => value.as_str().is_some() || is_list_of_strings(value),
            "exp" => {
                times.expiry = Some(seconds(value, f64::floor).ok_or(Malformed)?);
                true
            }
            "nbf" => {
                times.not_before = Some(seconds(value, f64::ceil).ok_or(Malformed)?);
                true
            }
            "iat" => {
                times.issued_at = Some(seconds(value, f64::ceil).ok_or(Malformed)?);
                true
            }
            _ => true,
        };
        if !is_valid {
            return Err(Malformed);
        }
    }
    Ok(times)
}

fn is_list_of_strings(value: &Json) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(|item| item.as_str().is_some()))
}

/// The last second of the year 9999. A later time is a mistake, for example milliseconds.
const LAST_SECOND: u64 = 253_402_300_799;

/// A NumericDate (RFC 7519 §2), rounded to whole seconds.
fn seconds(value: &Json, round: fn(f64) -> f64) -> Option<u64> {
    let seconds = match *value {
        Json::Integer(seconds) => u64::try_from(seconds).ok()?,
        // -0.0 is zero. The cast saturates at a value that is rejected below.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Json::Float(seconds) if seconds >= 0.0 => round(seconds) as u64,
        _ => return None,
    };
    (seconds <= LAST_SECOND).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cached_header_is_used_only_for_an_equal_header() {
        let good = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ";
        let other = "eyJhbGciOiJFUzM4NCIsImtpZCI6ImIifQ";
        let headers = [
            good,
            "e30",
            good,
            "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifR",
            "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQA",
            "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEif",
            other,
            "",
            good,
            other,
        ];
        let mut last = LastHeader::default();
        for header in headers {
            for payload in ["e30", "e3", "W10", "e30"] {
                let token = format!("{header}.{payload}.AAAA");
                let seen = |jws: Result<Jws<'_>, Malformed>| {
                    jws.map(|jws| (jws.algorithm, jws.kid, jws.token_type))
                };
                assert_eq!(
                    seen(Jws::parse_after(&mut last, token.as_bytes())),
                    seen(Jws::parse(token.as_bytes())),
                    "{token}"
                );
            }
        }
        let mut header = |header| last.or_parse(header).map(|header| header.algorithm);
        assert_eq!(header(good).as_deref(), Ok("ES256"));
        assert_eq!(header(other).as_deref(), Ok("ES384"));
    }
}
