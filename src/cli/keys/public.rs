//! The public part of a JWK, as the filter reads it; `keys jwks` and `keys thumbprint`.

use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;

use super::file::{self, content};
use super::json::{object, pretty, string};
use super::private::PrivateKey;
use crate::cli::{Answer, CommandError};
use crate::json::{Json, Object};
use crate::token::jwks::{KeyProblem, KeySetError};
use crate::token::{KeySet, PublicKey};

/// Print the public parts of keys as a JWKS.
///
/// This is what a key server publishes, and what `claims.issuers[].keys.inline` takes. Reads private and
/// public keys (JWK) and sets of them (JWKS). Never prints a private member; a shared secret is an error,
/// because it has no public part.
#[derive(Debug, Args)]
#[command(after_help = JWKS_EXAMPLES)]
pub(in crate::cli) struct JwksOptions {
    /// Files with a JWK or a JWKS; `-` for stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

const JWKS_EXAMPLES: &str = "\
Examples:
  edge-claims keys jwks signing.jwk > jwks.json
  edge-claims keys jwks old.jwk new.jwk
  edge-claims keys public signing.jwk

Exit codes:
  0  done
  2  wrong usage, or a file cannot be read or has no usable key";

/// Print the RFC 7638 thumbprint of keys, one per line.
///
/// The thumbprint is SHA-256 over the public members, in base64url. It is the same for a private key and its
/// public part, whatever the `kid`. `claims.issuers[].revoked.thumbprints` takes it.
#[derive(Debug, Args)]
#[command(after_help = THUMBPRINT_EXAMPLES)]
pub(in crate::cli) struct ThumbprintOptions {
    /// Files with a JWK or a JWKS; `-` for stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

const THUMBPRINT_EXAMPLES: &str = "\
Examples:
  edge-claims keys thumbprint signing.jwk
  curl -s https://keys.example.com/jwks.json | edge-claims keys thumbprint -

Exit codes:
  0  done
  2  wrong usage, or a file cannot be read or has no usable key";

/// Why a JWK has no public part that the filter accepts.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum PublicPartError {
    /// A shared secret.
    #[error("a shared secret (kty oct): it has no public part, and must not be published")]
    Secret,
    /// The filter's reader refuses the public part.
    #[error("{0}")]
    Refused(KeyProblem),
    /// The filter's reader refuses a set of this key.
    #[error("{0}")]
    Set(KeySetError),
}

/// The public members of a JWK, and the key that the filter reads from them.
///
/// # Errors
/// A [`PublicPartError`]
pub(in crate::cli) fn part(jwk: &Object) -> Result<(Json, Rc<PublicKey>), PublicPartError> {
    const PUBLIC: [&str; 9] = ["kty", "crv", "kid", "alg", "use", "n", "e", "x", "y"];
    if jwk.get("kty").and_then(Json::as_str) == Some("oct") {
        return Err(PublicPartError::Secret);
    }
    let members = PUBLIC.into_iter().filter_map(|name| {
        let value = jwk.get(name).cloned();
        let value = value.or_else(|| (name == "use").then(|| string("sig")));
        value.map(|value| (name, value))
    });
    let public = object(members);
    let set = object([("keys", Json::Array(vec![public.clone()]))]);
    match KeySet::inline(&set) {
        Ok(set) => {
            let key = set.shared().first().map(Rc::clone);
            Ok((public, key.ok_or(PublicPartError::Set(KeySetError::Empty))?))
        }
        Err(problems) => Err(match problems.into_iter().next() {
            Some(KeySetError::Key { problem, .. }) => PublicPartError::Refused(problem),
            Some(other) => PublicPartError::Set(other),
            None => PublicPartError::Set(KeySetError::Empty),
        }),
    }
}

/// Prints the public parts as a JWKS.
///
/// # Errors
/// A [`CommandError`]
pub(super) fn run_jwks(
    options: &JwksOptions,
    output: &mut impl Write,
) -> Result<Answer, CommandError> {
    let keys = public_keys(&options.files)?;
    let set = object([(
        "keys",
        Json::Array(keys.into_iter().map(|(jwk, _)| jwk).collect()),
    )]);
    // What is published must be what the filter accepts, in particular without duplicate `kid`s.
    KeySet::inline(&set).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        CommandError::Content {
            name: "the set of all keys".to_owned(),
            problem: problems.join("; "),
        }
    })?;
    writeln!(output, "{}", pretty(&set))?;
    Ok(Answer::Yes)
}

/// Prints the thumbprints.
///
/// # Errors
/// A [`CommandError`]
pub(super) fn run_thumbprint(
    options: &ThumbprintOptions,
    output: &mut impl Write,
) -> Result<Answer, CommandError> {
    for (_, key) in public_keys(&options.files)? {
        writeln!(output, "{}", key.thumbprint())?;
    }
    Ok(Answer::Yes)
}

/// The public parts of all keys in the files.
fn public_keys(files: &[PathBuf]) -> Result<Vec<(Json, Rc<PublicKey>)>, CommandError> {
    file::check_stdin_once(files)?;
    let mut keys = Vec::new();
    for path in files {
        let file = file::read(path)?;
        let json = Json::parse_strict(file.text.as_bytes())
            .map_err(|error| content(&file.name, format!("not a JWK or JWKS: {error}")))?;
        let members = json.as_object();
        let listed = members
            .and_then(|set| set.get("keys"))
            .and_then(Json::as_array);
        let found = match (members, listed) {
            (_, Some([])) => {
                return Err(content(
                    &file.name,
                    "keys: is empty: at least one is needed",
                ));
            }
            (_, Some(list)) => list
                .iter()
                .enumerate()
                .map(|(index, jwk)| (format!("{}: keys[{index}]", file.name), jwk))
                .collect(),
            (Some(jwk), None) if jwk.get("kty").is_some() => vec![(file.name.clone(), &json)],
            _ => {
                let expected = "not a JWK or JWKS: must be an object with `kty` or `keys`";
                return Err(content(&file.name, expected));
            }
        };
        let mut has_private = false;
        for (name, jwk) in found {
            let Some(jwk) = jwk.as_object() else {
                return Err(content(&name, "a key must be an object"));
            };
            has_private |= jwk.get("d").is_some();
            keys.push(one(jwk).map_err(|problem| content(&name, problem))?);
        }
        if has_private {
            file.warn_if_readable_by_others();
        }
    }
    Ok(keys)
}

/// The public part of one key. The private part, if there is one, must belong to it: a damaged file would
/// otherwise be noticed only when tokens are refused.
fn one(jwk: &Object) -> Result<(Json, Rc<PublicKey>), String> {
    let public = part(jwk).map_err(|error| error.to_string())?;
    if jwk.get("d").is_some() {
        PrivateKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    }
    Ok(public)
}

#[cfg(test)]
mod tests {
    use super::super::json::compact;
    use super::*;
    use crate::token::tests::support;

    #[test]
    fn the_public_part_has_no_member_that_is_not_public() {
        let mut jwk = support::jwk("p256");
        for name in [
            "d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "x5c", "secret",
        ] {
            jwk[name] = "AAAA".into();
        }
        let jwk = Json::parse(jwk.to_string().as_bytes()).unwrap();
        let (public, key) = part(jwk.as_object().unwrap()).unwrap();
        let names: Vec<&str> = public
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["kty", "crv", "kid", "use", "x", "y"]);
        assert_eq!(key.kid(), Some("p256"));
        assert!(!compact(&public).contains("AAAA"));
    }
}
