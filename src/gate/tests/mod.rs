//! Tests of the pipeline: request headers in, decision out.

mod correlating;
mod edits;
mod order;
mod rollout;

use std::collections::BTreeMap;

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use serde_json::{Value, json};

use super::{Action, Decision, Gate, KeyWait, RequestContext, Step, Wait};
use crate::headers::{Header, Headers};
use crate::record::AccessField;
use crate::token::Portable;

/// 2026-01-01T00:00:00Z, in seconds since 1970.
const NOW: u64 = 1_767_225_600;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A gate, and the mTLS peer of its requests.
struct Bench {
    gate: Gate,
    peers: Vec<String>,
    key_wait: KeyWait,
}

/// Header fields of a request.
type Fields = Vec<(String, Vec<u8>)>;

fn policy() -> Value {
    json!({
        "claims": {"issuers": [{"issuer": "edge", "audiences": ["mesh"], "algorithms": ["HS256"],
            "keys": {"secrets": [{"env": "SECRET", "kid": "k1"}]}}]},
        "rbac": {
            "roles": {"claim": "roles"},
            "routes": [
                {"name": "public", "path": "/public/{*rest}", "allow": "public"},
                {"name": "me", "path": "/me", "allow": "authenticated"},
                {"name": "admin", "methods": ["GET", "PUT"], "path": "/admin", "allow": {"any_role": ["admin"]}},
                {"name": "mesh", "path": "/mesh", "allow": {"peers": ["spiffe://td/gw"]}},
            ],
        },
        "identity": {"headers": {"x-auth-subject": ["sub"], "x-auth-roles": ["roles"]}},
        "log": {"access_fields": ["verdict", "correlation_source", "subject", "issuer", "kid", "reason", "route"],
            "hash_key_env": "LOG_KEY", "allow": 1.0},
    })
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Value)) -> Self {
        let mut policy = policy();
        change(&mut policy);
        let config = crate::config::load(policy.to_string().as_bytes()).unwrap();
        let env = |name: &str| match name {
            "SECRET" => Some(SECRET.to_vec()),
            "LOG_KEY" => Some(b"log key".to_vec()),
            _ => None,
        };
        let (gate, warnings) = Gate::new(config, &env, 7);
        assert_eq!(warnings, [""; 0]);
        Self {
            gate,
            peers: Vec::new(),
            key_wait: KeyWait::Exhausted,
        }
    }

    /// Decides about a request that does not wait, and counts it as the worker does.
    #[track_caller]
    fn decide(&mut self, fields: &Fields) -> Decision {
        match self.step(fields) {
            Step::Done(decision) => {
                self.gate.count(decision.verdict, decision.route);
                decision
            }
            Step::Wait(wait) => panic!("it waits: {wait:?}"),
        }
    }

    fn wait(&mut self, fields: &Fields) -> Option<Wait> {
        match self.step(fields) {
            Step::Done(_) => None,
            Step::Wait(wait) => Some(wait),
        }
    }

    fn step(&mut self, fields: &Fields) -> Step {
        let headers: Vec<Header<'_>> = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_slice()))
            .collect();
        let peers = self.peers.clone();
        let mut ctx = RequestContext {
            now_ms: NOW * 1_000,
            backend: &Portable,
            random: &mut || [9; 10],
            peers: &|| peers.clone(),
            key_wait: self.key_wait,
            may_wait: &mut |_| true,
            assigned: None,
        };
        self.gate.decide(&Headers::new(&headers), &mut ctx)
    }

    /// The verdict as access logs show it: `deny/role/admin`.
    fn verdict(&mut self, fields: &Fields) -> String {
        verdict(&self.decide(fields))
    }

    /// The headers that the upstream gets.
    #[track_caller]
    fn forwarded(&mut self, fields: &Fields) -> BTreeMap<String, Vec<String>> {
        let decision = self.decide(fields);
        let Action::Forward(forward) = &decision.action else {
            panic!("it was not let through: {decision:?}");
        };
        let mut left = fields.clone();
        for edit in forward.edits() {
            let name = String::from_utf8(edit.name.to_vec()).unwrap();
            let at = left.iter().position(|(known, _)| *known == name);
            match &edit.value {
                // Like hosts: the first instance is replaced, others stay.
                Some(value) => match at {
                    Some(at) => left[at].1 = value.to_vec(),
                    None => left.push((name, value.to_vec())),
                },
                None => left.retain(|(known, _)| *known != name),
            }
        }
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in left {
            let value = String::from_utf8_lossy(&value).into_owned();
            seen.entry(name).or_default().push(value);
        }
        seen
    }
}

fn verdict(decision: &Decision) -> String {
    field(decision, AccessField::Verdict).unwrap_or_else(|| "-".to_owned())
}

fn field(decision: &Decision, name: AccessField) -> Option<String> {
    let fields = decision.log_fields.iter();
    fields
        .filter(|(field, _)| *field == name)
        .map(|(_, value)| value.to_string())
        .next()
}

/// A request as the host shows it.
fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Fields {
    let pseudo = [
        (":method", method),
        (":path", path),
        (":authority", "shop.example.com"),
    ];
    pseudo
        .iter()
        .chain(headers)
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn get(path: &str, headers: &[(&str, &str)]) -> Fields {
    request("GET", path, headers)
}

/// A token with changed claims; `null` removes a claim.
fn token(changes: &Value) -> String {
    let mut claims =
        json!({"iss": "edge", "aud": "mesh", "sub": "alice", "iat": NOW, "exp": NOW + 60});
    let members = claims.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    let encode = |bytes: &[u8]| Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap();
    let head = encode(br#"{"alg":"HS256","kid":"k1"}"#);
    let signed = format!("{head}.{}", encode(claims.to_string().as_bytes()));
    let mac = hmac_sha256::HMAC::mac(signed.as_bytes(), SECRET);
    format!("{signed}.{}", encode(&mac))
}

/// The same with another signature.
fn forged(token: &str) -> String {
    let (head, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{head}.{other}{}", &signature[1..])
}
