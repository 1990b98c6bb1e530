//! Tokens for the tests: well-formed ones by jwt-simple, and any that one can think of, well-formed
//! or not, by independent libraries (see [`Order`] and `tests/tokens/mint.py`).

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use jwt_simple::claims::JWTClaims;
use jwt_simple::common::HeaderOptions;
use jwt_simple::prelude::{
    Base64UrlSafeNoPadding, ECDSAP256KeyPairLike, ECDSAP384KeyPairLike, ES256KeyPair, ES384KeyPair,
    Ed25519KeyPair, EdDSAKeyPairLike, HS256Key, HS384Key, HS512Key, MACLike, PS256KeyPair,
    PS384KeyPair, PS512KeyPair, RS256KeyPair, RS384KeyPair, RS512KeyPair, RSAKeyPairLike,
};
use jwt_simple::reexports::ct_codecs::{Decoder as _, Encoder as _};
use serde_json::{Value, json};

use crate::tools;

/// Every algorithm that the filter knows without its host's help.
pub const ALGORITHMS: [&str; 12] = [
    "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "HS256",
    "HS384", "HS512",
];

/// A private or secret key, for one algorithm.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    algorithm: String,
    /// The private JWK (RFC 7517), with `kid` and `alg`.
    private: Value,
}

impl Key {
    /// A new key. RSA keys have 2048 bits and come from a process-wide stock, because generating them is slow: two
    /// calls with different `kid`s give different keys, two calls with the same one the same.
    ///
    /// # Panics
    /// Where the algorithm has no name that is known here.
    #[must_use]
    pub fn generate(algorithm: &str, kid: &str) -> Self {
        let parse = |jwk: &str| serde_json::from_str(jwk).expect("jwt-simple writes JSON");
        let mut private: Value = match algorithm {
            "ES256" => parse(&ES256KeyPair::generate().to_jwk()),
            "ES384" => parse(&ES384KeyPair::generate().to_jwk()),
            "EdDSA" => parse(&Ed25519KeyPair::generate().to_jwk()),
            // jwt-simple does not have it.
            "ES512" => python(&json!({"generate_ec": "P-521"})),
            "HS256" | "HS384" | "HS512" => {
                // As long as the hash, which is what RFC 7518 §3.2 asks for; jwt-simple makes 32.
                let bits: usize = algorithm[2..].parse().expect("a number");
                let mut bytes = HS256Key::generate().to_bytes();
                bytes.extend(HS256Key::generate().to_bytes());
                return Self::secret(algorithm, kid, &bytes[..bits / 8]);
            }
            _ if algorithm.starts_with("RS") || algorithm.starts_with("PS") => rsa_key(kid),
            _ => panic!("no algorithm {algorithm} here"),
        };
        private["kid"] = json!(kid);
        private["alg"] = json!(algorithm);
        Self {
            algorithm: algorithm.to_owned(),
            private,
        }
    }

    /// A secret for HMAC.
    #[must_use]
    pub fn secret(algorithm: &str, kid: &str, secret: &[u8]) -> Self {
        let private = json!({"kty": "oct", "k": base64url(secret), "kid": kid, "alg": algorithm});
        Self {
            algorithm: algorithm.to_owned(),
            private,
        }
    }

    /// The same key under another algorithm's name: what an attacker would like it to be.
    #[must_use]
    pub fn misused_as(&self, algorithm: &str) -> Self {
        let mut private = self.private.clone();
        private["alg"] = json!(algorithm);
        Self {
            algorithm: algorithm.to_owned(),
            private,
        }
    }

    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    #[must_use]
    pub fn kid(&self) -> &str {
        self.private["kid"].as_str().unwrap_or_default()
    }

    /// The key as a verifier gets it (RFC 7517); for HMAC that is the secret itself.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let public = ["kty", "crv", "x", "y", "n", "e", "kid", "alg"];
        let secret = ["kty", "k", "kid", "alg"];
        let members: &[&str] = if self.private["kty"] == "oct" {
            &secret
        } else {
            &public
        };
        let all = self.private.as_object().expect("a JWK is an object");
        let kept = all
            .iter()
            .filter(|(name, _)| members.contains(&name.as_str()));
        Value::Object(
            kept.map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    fn secret_bytes(&self) -> Vec<u8> {
        from_base64url(self.private["k"].as_str().expect("a secret"))
    }

    /// Signs claims with jwt-simple. The header has `alg`, `typ: JWT` and `kid`.
    ///
    /// # Panics
    /// Where the key is not one of its algorithm.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_typed(claims, "JWT")
    }

    /// Signs claims with jwt-simple, with that `typ` in the header.
    ///
    /// # Panics
    /// Where the key is not one of its algorithm.
    #[must_use]
    pub fn sign_typed(&self, claims: &Value, kind: &str) -> String {
        if self.algorithm == "ES512" {
            let mut order = Order::joserfc(self, claims);
            order.0["header"]["typ"] = json!(kind);
            return mint(&[order]).remove(0);
        }
        let jwk = self.private.to_string();
        let claims = as_they_are(claims);
        let options = HeaderOptions {
            signature_type: Some(kind.to_owned()),
            ..HeaderOptions::default()
        };
        macro_rules! sign {
            ($($name:literal => $key:ty),*; $($mac:literal => $secret:ty),*) => {
                match self.algorithm.as_str() {
                    $($name => <$key>::from_jwk(&jwk).and_then(|key| {
                        key.sign_with_options(claims, &options)
                    }),)*
                    $($mac => <$secret>::from_bytes(&self.secret_bytes())
                        .with_key_id(self.kid())
                        .authenticate_with_options(claims, &options),)*
                    other => panic!("no algorithm {other} here"),
                }
            };
        }
        let token = sign!(
            "ES256" => ES256KeyPair, "ES384" => ES384KeyPair, "EdDSA" => Ed25519KeyPair,
            "RS256" => RS256KeyPair, "RS384" => RS384KeyPair, "RS512" => RS512KeyPair,
            "PS256" => PS256KeyPair, "PS384" => PS384KeyPair, "PS512" => PS512KeyPair;
            "HS256" => HS256Key, "HS384" => HS384Key, "HS512" => HS512Key
        );
        token.unwrap_or_else(|error| panic!("{}: {error}", self.algorithm))
    }
}

/// A JWKS of the keys.
#[must_use]
pub fn jwks(keys: &[&Key]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})
}

/// Claims that the default issuer of the tests accepts, with changes laid over them: a member that
/// is `null` there is left out.
#[must_use]
pub fn claims(changes: &Value) -> Value {
    let now = now();
    let mut claims = json!({
        "iss": "https://edge.example.com",
        "aud": "mesh.example.com",
        "sub": "alice",
        "iat": now,
        "exp": now + 60,
    });
    let members = claims.as_object_mut().expect("it is one");
    for (name, value) in changes.as_object().expect("changes are an object") {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    claims
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Base64url without padding (RFC 7515 §2).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).expect("short enough")
}

/// The bytes behind base64url without padding.
///
/// # Panics
/// If it is not valid.
#[must_use]
pub fn from_base64url(text: &str) -> Vec<u8> {
    Base64UrlSafeNoPadding::decode_to_vec(text, None).expect("base64url")
}

/// The parts of a compact JWS put together as they are: header and payload are encoded.
#[must_use]
pub fn assemble(header: &[u8], payload: &[u8], signature: &[u8]) -> String {
    format!(
        "{}.{}.{}",
        base64url(header),
        base64url(payload),
        base64url(signature)
    )
}

/// jwt-simple would add `iat`, `exp` and `nbf` of its own; these claims are the test's alone.
const fn as_they_are(claims: &Value) -> JWTClaims<&Value> {
    JWTClaims {
        issued_at: None,
        expires_at: None,
        invalid_before: None,
        issuer: None,
        subject: None,
        audiences: None,
        jwt_id: None,
        nonce: None,
        custom: claims,
    }
}

/// A token that an independent library signs.
#[derive(Debug, Clone)]
pub struct Order(Value);

impl Order {
    /// Claims under a header of `alg`, `typ` and `kid`, by PyJWT.
    #[must_use]
    pub fn pyjwt(key: &Key, claims: &Value) -> Self {
        Self::of("pyjwt", key, claims)
    }

    /// Claims under a header of `alg`, `typ` and `kid`, by joserfc.
    #[must_use]
    pub fn joserfc(key: &Key, claims: &Value) -> Self {
        Self::of("joserfc", key, claims)
    }

    /// A good signature over any bytes for header and payload, with the key's algorithm, whatever
    /// the header says.
    #[must_use]
    pub fn raw(key: &Key, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Self {
        Self::raw_parts(
            key,
            &base64url(header.as_ref()),
            &base64url(payload.as_ref()),
        )
    }

    /// A good signature over header and payload as encoded by the test: with padding for instance.
    #[must_use]
    pub fn raw_parts(key: &Key, header: &str, payload: &str) -> Self {
        Self(
            json!({"library": "raw", "alg": key.algorithm, "key": key.private,
            "header": header, "payload": payload}),
        )
    }

    fn of(library: &str, key: &Key, claims: &Value) -> Self {
        let header = json!({"alg": key.algorithm, "typ": "JWT", "kid": key.kid()});
        Self(
            json!({"library": library, "alg": key.algorithm, "key": key.private,
            "header": header, "payload": claims}),
        )
    }
}

/// Signs the ordered tokens in one run of `tests/tokens/mint.py`.
///
/// # Panics
/// If Python or its libraries are missing or refuse an order; with their message.
#[must_use]
pub fn mint(orders: &[Order]) -> Vec<String> {
    let orders: Vec<&Value> = orders.iter().map(|order| &order.0).collect();
    let tokens = python(&json!({"mint": orders}));
    let tokens = tokens.as_array().expect("a list of tokens");
    tokens
        .iter()
        .map(|token| token.as_str().expect("a token").to_owned())
        .collect()
}

/// An RSA key of the stock: the first that is not taken by another `kid`.
fn rsa_key(kid: &str) -> Value {
    const STOCK: usize = 8;
    static KEYS: OnceLock<Vec<Value>> = OnceLock::new();
    static TAKEN: std::sync::Mutex<BTreeSet<(usize, String)>> =
        std::sync::Mutex::new(BTreeSet::new());
    let keys = KEYS.get_or_init(|| {
        let keys = python(&json!({"generate_rsa": STOCK}));
        keys.as_array().expect("a list of keys").clone()
    });
    let mut taken = TAKEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = taken
        .iter()
        .find(|(_, name)| name == kid)
        .map(|(index, _)| *index);
    let index = known.unwrap_or(taken.len());
    assert!(
        index < STOCK,
        "more than {STOCK} RSA keys are in use: raise STOCK"
    );
    taken.insert((index, kid.to_owned()));
    keys[index].clone()
}

fn python(request: &Value) -> Value {
    let mut child = Command::new(tools::python())
        .arg(tools::root().join("tests/tokens/mint.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("Python does not start: {error}; run: make setup-tests"));
    let mut input = child.stdin.take().expect("it is piped");
    let request = request.to_string();
    let writer = std::thread::spawn(move || input.write_all(request.as_bytes()));
    let output = child.wait_with_output().expect("its output");
    let written = writer.join().expect("the writer does not panic");
    assert!(
        output.status.success() && written.is_ok(),
        "mint.py failed, see above"
    );
    serde_json::from_slice(&output.stdout).expect("mint.py writes JSON")
}
