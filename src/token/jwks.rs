//! JSON Web Key Sets (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use std::collections::HashSet;
use std::rc::Rc;

use crate::json::{Json, JsonError, Object};
use crate::token::key::{BadKey, MAX_RSA_BITS, MIN_RSA_BITS};
use crate::token::{Algorithm, PublicKey, base64url};

/// The maximum number of keys in a set.
pub(crate) const MAX_KEYS: usize = 64;

/// The maximum size of a fetched set, in bytes.
pub(crate) const MAX_BYTES: usize = 65_536;

/// The public keys of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySet {
    keys: Vec<Rc<PublicKey>>,
}

/// An error in a key set. Messages start with the path inside the set and end with what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// More bytes than [`MAX_BYTES`].
    #[error("{bytes} bytes: at most {MAX_BYTES} are read")]
    TooLarge {
        /// The size of the response in bytes.
        bytes: usize,
    },
    /// Not JSON, or JSON with duplicate names.
    #[error("not JSON: {problem}")]
    Syntax {
        /// The parser's message.
        problem: String,
    },
    /// Not an object with a list `keys` (RFC 7517 §5).
    #[error("not a JWKS: must be an object with a list named \"keys\"")]
    NoKeySet,
    /// No usable key.
    #[error("keys: none that can verify a signature: at least one is needed")]
    Empty,
    /// More keys than [`MAX_KEYS`].
    #[error("keys: {count} of them: at most {MAX_KEYS} are read")]
    TooMany {
        /// The number of keys.
        count: usize,
    },
    /// A key is rejected.
    #[error("keys[{index}]: {problem}")]
    Key {
        /// Its index in `keys`.
        index: usize,
        /// The reason.
        problem: KeyProblem,
    },
}

/// Why a JWK is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// The key is not an object.
    #[error("{found}: a key must be an object")]
    NotAnObject {
        /// The type of the value.
        found: &'static str,
    },
    /// A duplicate member name.
    #[error("duplicate name {name:?}: each may occur once")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A member is missing or not a string.
    #[error("{name}: must be a string")]
    NotAString {
        /// Which.
        name: &'static str,
    },
    /// A member is not strict base64url, or does not have the length that the curve requires.
    #[error("{name}: must be base64url without padding{}", Bytes(*bytes))]
    NotBase64url {
        /// Which.
        name: &'static str,
        /// The required length in bytes, after decoding.
        bytes: Option<usize>,
    },
    /// `kty` is not supported.
    #[error(
        "kty {kty:?}: must be EC, RSA or OKP; shared secrets belong in the environment, not in a key set"
    )]
    Type {
        /// The value.
        kty: String,
    },
    /// `crv` is not supported.
    #[error("crv {crv:?}: must be P-256, P-384 or P-521 with EC, Ed25519 with OKP")]
    Curve {
        /// The value.
        crv: String,
    },
    /// `alg` is not an algorithm of this type of key.
    #[error(
        "alg {alg:?}: not a signature algorithm of this key; must be one of {}, or absent",
        Names(fits)
    )]
    Algorithm {
        /// The value.
        alg: String,
        /// The allowed values.
        fits: Vec<Algorithm>,
    },
    /// `use` is not `sig` (RFC 7517 §4.2).
    #[error("use: only \"sig\" verifies signatures")]
    Use,
    /// `key_ops` has no `verify` (RFC 7517 §4.3).
    #[error("key_ops: must be a list with \"verify\"")]
    Operations,
    /// A private key (RFC 7518 §6.2.2, §6.3.2, §6.4).
    #[error(
        "{name}: part of a private key: remove it here and replace the key, because it is no longer secret"
    )]
    Private {
        /// The private member.
        name: &'static str,
    },
    /// The point is not on the curve, or of small order.
    #[error("x, y: not a valid public key on the curve")]
    Point,
    /// The RSA modulus is too short or too long.
    #[error("n: {bits} bits: must be {MIN_RSA_BITS} to {MAX_RSA_BITS}")]
    RsaSize {
        /// Its size in bits.
        bits: usize,
    },
    /// The RSA exponent is not 65537.
    #[error("e: must be 65537 (\"AQAB\")")]
    RsaExponent,
    /// The RSA modulus is even.
    #[error("n: must be odd")]
    RsaModulus,
    /// The RSA modulus has the ROCA fingerprint.
    #[error(
        "n: the key has the ROCA weakness (CVE-2017-15361), so its private key can be computed: replace it by a key of another generator"
    )]
    Roca,
    /// An earlier key has the same `kid`.
    #[error("kid {kid:?}: an earlier key has it: each key needs its own")]
    DuplicateKid {
        /// The `kid`.
        kid: String,
    },
}

struct Names<'a>(&'a [Algorithm]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|algorithm| algorithm.name()).collect();
        formatter.write_str(&names.join(", "))
    }
}

struct Bytes(Option<usize>);

impl std::fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .map_or(Ok(()), |bytes| write!(formatter, ", of {bytes} bytes"))
    }
}

impl KeySet {
    /// Reads an inline set of the config, in which every key must be valid.
    ///
    /// # Errors
    /// All errors, in the order of the keys.
    pub fn inline(json: &Json) -> Result<Self, Vec<KeySetError>> {
        let (set, problems) = read(json).map_err(|error| vec![error])?;
        if !problems.is_empty() {
            Err(problems)
        } else if set.is_empty() {
            Err(vec![KeySetError::Empty])
        } else {
            Ok(set)
        }
    }

    /// Reads a fetched set; skips invalid keys and returns their errors.
    ///
    /// # Errors
    /// An error of the set as a whole.
    pub fn fetched(bytes: &[u8]) -> Result<(Self, Vec<KeySetError>), KeySetError> {
        if bytes.len() > MAX_BYTES {
            return Err(KeySetError::TooLarge { bytes: bytes.len() });
        }
        let json = Json::parse_strict(bytes).map_err(|error: JsonError| KeySetError::Syntax {
            problem: error.to_string(),
        })?;
        let (set, problems) = read(&json)?;
        if set.is_empty() {
            return Err(KeySetError::Empty);
        }
        Ok((set, problems))
    }

    /// The keys in the order of the set.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().map(Rc::as_ref)
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the set has no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys, shared.
    pub(crate) fn shared(&self) -> &[Rc<PublicKey>] {
        &self.keys
    }

    /// Replaces each key that is equal to one of the earlier set by that one, so that an unchanged key keeps
    /// its address.
    pub(super) fn keep_from(&mut self, earlier: &Self) {
        for key in &mut self.keys {
            if let Some(same) = earlier.keys.iter().find(|old| **old == *key) {
                *key = Rc::clone(same);
            }
        }
    }
}

fn read(json: &Json) -> Result<(KeySet, Vec<KeySetError>), KeySetError> {
    let keys = json
        .as_object()
        .and_then(|set| set.get("keys"))
        .and_then(Json::as_array)
        .ok_or(KeySetError::NoKeySet)?;
    if keys.len() > MAX_KEYS {
        return Err(KeySetError::TooMany { count: keys.len() });
    }
    let mut set = KeySet::default();
    let mut problems = Vec::new();
    let mut kids = HashSet::new();
    for (index, jwk) in keys.iter().enumerate() {
        let key = public_key(jwk).and_then(|key| match key.kid() {
            Some(kid) if !kids.insert(kid.to_owned()) => Err(KeyProblem::DuplicateKid {
                kid: kid.to_owned(),
            }),
            _ => Ok(key),
        });
        match key {
            Ok(key) => set.keys.push(Rc::new(key)),
            Err(problem) => problems.push(KeySetError::Key { index, problem }),
        }
    }
    Ok((set, problems))
}

fn public_key(jwk: &Json) -> Result<PublicKey, KeyProblem> {
    let jwk = jwk.as_object().ok_or(KeyProblem::NotAnObject {
        found: jwk.type_name(),
    })?;
    if let Some(name) = jwk.duplicate_key() {
        return Err(KeyProblem::DuplicateName {
            name: name.to_owned(),
        });
    }
    check_purpose(jwk)?;
    let key = material(jwk, optional_text(jwk, "kid")?.map(str::to_owned))?;
    match optional_text(jwk, "alg")? {
        None => Ok(key),
        Some(alg) => {
            let fits = key.algorithms().to_vec();
            Algorithm::from_name(alg)
                .and_then(|algorithm| key.only_for(algorithm))
                .ok_or(KeyProblem::Algorithm {
                    alg: alg.to_owned(),
                    fits,
                })
        }
    }
}

/// Checks that the key is public and for verifying signatures.
fn check_purpose(jwk: &Object) -> Result<(), KeyProblem> {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let kty = required_text(jwk, "kty")?;
    if !matches!(kty, "EC" | "RSA" | "OKP") {
        return Err(KeyProblem::Type {
            kty: kty.to_owned(),
        });
    }
    if let Some(name) = PRIVATE.into_iter().find(|name| jwk.get(name).is_some()) {
        return Err(KeyProblem::Private { name });
    }
    if jwk
        .get("use")
        .is_some_and(|purpose| purpose.as_str() != Some("sig"))
    {
        return Err(KeyProblem::Use);
    }
    let verifies = |operations: &Json| {
        operations.as_array().is_some_and(|operations| {
            operations
                .iter()
                .any(|operation| operation.as_str() == Some("verify"))
        })
    };
    if jwk
        .get("key_ops")
        .is_some_and(|operations| !verifies(operations))
    {
        return Err(KeyProblem::Operations);
    }
    Ok(())
}

fn material(jwk: &Object, kid: Option<String>) -> Result<PublicKey, KeyProblem> {
    let coordinates = |bytes| {
        Ok((
            number(jwk, "x", Some(bytes))?,
            number(jwk, "y", Some(bytes))?,
        ))
    };
    let key = match required_text(jwk, "kty")? {
        "RSA" => PublicKey::rsa(kid, &number(jwk, "n", None)?, &number(jwk, "e", None)?),
        // The coordinates have the full length of the field (RFC 7518 §6.2.1.2).
        kty => match (kty, required_text(jwk, "crv")?) {
            ("EC", "P-256") => coordinates(32).map(|(x, y)| PublicKey::p256(kid, &x, &y))?,
            ("EC", "P-384") => coordinates(48).map(|(x, y)| PublicKey::p384(kid, &x, &y))?,
            ("EC", "P-521") => coordinates(66).map(|(x, y)| PublicKey::p521(kid, &x, &y))?,
            ("OKP", "Ed25519") => PublicKey::ed25519(kid, &number(jwk, "x", Some(32))?),
            (_, crv) => {
                return Err(KeyProblem::Curve {
                    crv: crv.to_owned(),
                });
            }
        },
    };
    key.map_err(|bad| match bad {
        BadKey::NotOnCurve => KeyProblem::Point,
        BadKey::RsaSize(bits) => KeyProblem::RsaSize { bits },
        BadKey::RsaExponent => KeyProblem::RsaExponent,
        BadKey::RsaModulus => KeyProblem::RsaModulus,
        BadKey::Roca => KeyProblem::Roca,
    })
}

fn optional_text<'a>(jwk: &'a Object, name: &'static str) -> Result<Option<&'a str>, KeyProblem> {
    jwk.get(name)
        .map(|value| value.as_str().ok_or(KeyProblem::NotAString { name }))
        .transpose()
}

fn required_text<'a>(jwk: &'a Object, name: &'static str) -> Result<&'a str, KeyProblem> {
    optional_text(jwk, name)?.ok_or(KeyProblem::NotAString { name })
}

fn number(jwk: &Object, name: &'static str, bytes: Option<usize>) -> Result<Vec<u8>, KeyProblem> {
    base64url::decode(required_text(jwk, name)?.as_bytes())
        .filter(|number| bytes.is_none_or(|bytes| number.len() == bytes))
        .ok_or(KeyProblem::NotBase64url { name, bytes })
}
