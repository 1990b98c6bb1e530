//! Who signs tokens in the source: a provider of `jwt_authn`, a rule of `RequestAuthentication`.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::listed::Report;
use crate::config;

/// A provider, as both sources have it.
#[derive(Debug, Clone)]
pub(super) struct Provider {
    pub(super) place: Rc<str>,
    /// Its name in the source.
    pub(super) name: String,
    /// `iss`; `None` if any will do.
    pub(super) issuer: Option<String>,
    pub(super) audiences: Vec<String>,
    pub(super) keys: Keys,
    /// The headers that hold the token, each with the text before it.
    pub(super) headers: Vec<(String, String)>,
    pub(super) forward: bool,
    /// The tolerated clock difference, in seconds.
    pub(super) leeway: u64,
    /// Headers that are set from claims.
    pub(super) claims_to_headers: Vec<(String, Vec<String>)>,
    /// The name under which RBAC finds the claims.
    pub(super) payload_key: String,
    /// Claims whose strings are split at spaces.
    pub(super) spaces: Vec<String>,
    /// `exp` minus `iat`, in seconds.
    pub(super) max_lifetime: Option<u64>,
}

/// Where the keys come from.
#[derive(Debug, Clone)]
pub(super) enum Keys {
    /// A JWKS as text.
    Inline(String),
    /// A server.
    Remote {
        url: String,
        cluster: String,
        /// In milliseconds.
        timeout: Option<u64>,
        /// In seconds.
        refresh: Option<u64>,
    },
    /// None that can be imported; why.
    Missing(String),
}

/// The part of the config that is not about routes.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// `claims`, without `issuers`.
    pub(super) claims: Map<String, Value>,
    /// `claims.issuers[]`, each with its place.
    pub(super) issuers: Vec<(String, Value)>,
    pub(super) identity: Map<String, Value>,
    /// The providers that were imported.
    pub(super) providers: Vec<Provider>,
}

/// All algorithms with public keys; the key decides which of them a token can use.
const ALGORITHMS: [&str; 10] = [
    "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA",
];

/// The issuers of the config, and the header that holds the token.
pub(super) fn tokens(providers: Vec<Provider>, report: &mut Report) -> Tokens {
    let mut tokens = Tokens::default();
    let location = location(&providers);
    for provider in providers {
        let refused = |report: &mut Report, what: &str, why: &str| {
            report.list(
                &provider.place,
                what,
                &format!("{why}; tokens of this issuer are refused"),
            );
        };
        let Some(issuer) = provider.issuer.clone().filter(|issuer| !issuer.is_empty()) else {
            refused(
                report,
                "no issuer",
                "an issuer of the filter has a name, which is the `iss` of its tokens",
            );
            continue;
        };
        if tokens
            .providers
            .iter()
            .any(|known| known.issuer == provider.issuer)
        {
            refused(
                report,
                &issuer,
                "another provider has the same issuer, and the filter has one set of keys and audiences for each",
            );
            continue;
        }
        let Some(location) = location
            .as_ref()
            .filter(|location| provider.headers.contains(location))
        else {
            refused(
                report,
                &issuer,
                "all tokens are in one header here, and those of this issuer are in none or in another one",
            );
            continue;
        };
        for (header, _) in provider.headers.iter().filter(|header| *header != location) {
            report.list(
                &provider.place,
                &format!("tokens in {header}"),
                "all tokens are in one header here; those in this one go on as they are, valid or not",
            );
        }
        let Some(value) = issuer_value(&provider, &issuer, report) else {
            continue;
        };
        let probe = probe(&Map::new(), &value, None);
        if let Err(problem) = config::load(probe.to_string().as_bytes()) {
            refused(report, &issuer, &problem.to_string());
            continue;
        }
        tokens.issuers.push((provider.place.to_string(), value));
        tokens.providers.push(provider);
    }
    if let Some((header, prefix)) = location {
        tokens.claims.insert("header".to_owned(), json!(header));
        if !prefix.is_empty() {
            tokens.claims.insert("prefix".to_owned(), json!(prefix));
        }
    }
    forward(&mut tokens, report);
    identity(&mut tokens, report);
    tokens
}

/// The location that most providers share.
fn location(providers: &[Provider]) -> Option<(String, String)> {
    let all = providers.iter().flat_map(|provider| &provider.headers);
    let count = |wanted: &(String, String)| {
        providers
            .iter()
            .filter(|provider| provider.headers.contains(wanted))
            .count()
    };
    let mut best: Option<&(String, String)> = None;
    for location in all {
        if best.is_none_or(|best| count(location) > count(best)) {
            best = Some(location);
        }
    }
    best.cloned()
}

fn issuer_value(provider: &Provider, issuer: &str, report: &mut Report) -> Option<Value> {
    let mut value = Map::new();
    value.insert("issuer".to_owned(), json!(issuer));
    if provider.audiences.is_empty() {
        value.insert("any_audience".to_owned(), json!(true));
    } else {
        value.insert("audiences".to_owned(), json!(provider.audiences));
        report.note("Audiences are compared as they are. jwt_authn ignores a scheme before them and a slash at their end.");
    }
    let (algorithms, keys) = match &provider.keys {
        Keys::Inline(text) => inline(provider, issuer, text, report)?,
        Keys::Remote {
            url,
            cluster,
            timeout,
            refresh,
        } => {
            let mut remote = Map::new();
            remote.insert("url".to_owned(), json!(url));
            remote.insert("cluster".to_owned(), json!(cluster));
            if let Some(timeout) = timeout {
                let timeout = format!("{}ms", (*timeout).clamp(10, 60_000));
                remote.insert("timeout".to_owned(), json!(timeout));
            }
            if let Some(refresh) = refresh {
                let refresh = format!("{}s", (*refresh).clamp(1, 86_400));
                remote.insert("refresh".to_owned(), json!(refresh));
            }
            (ALGORITHMS.to_vec(), json!({"remote": remote}))
        }
        Keys::Missing(why) => {
            report.list(
                &provider.place,
                issuer,
                &format!("{why}; tokens of this issuer are refused"),
            );
            return None;
        }
    };
    value.insert("algorithms".to_owned(), json!(algorithms));
    value.insert("keys".to_owned(), keys);
    if provider.leeway > 300 {
        report.note("A clock difference of more than 5 minutes is not tolerated here.");
    }
    value.insert(
        "leeway".to_owned(),
        json!(format!("{}s", provider.leeway.min(300))),
    );
    if let Some(seconds) = provider.max_lifetime {
        value.insert("max_lifetime".to_owned(), json!(format!("{seconds}s")));
        report.list(&provider.place, "max_lifetime", "jwt_authn limits the time that is left, the filter `exp` minus `iat`, which is never shorter; tokens without `iat` are refused");
    }
    Some(Value::Object(value))
}

/// The keys of a JWKS that the filter takes, and their algorithms.
fn inline(
    provider: &Provider,
    issuer: &str,
    text: &str,
    report: &mut Report,
) -> Option<(Vec<&'static str>, Value)> {
    let parsed: Value = match serde_json::from_str(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            report.list(
                &provider.place,
                issuer,
                &format!("its keys are no JWKS: {error}; tokens of this issuer are refused"),
            );
            return None;
        }
    };
    let keys = parsed
        .get("keys")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut algorithms: Vec<&'static str> = Vec::new();
    let mut kept: Vec<Value> = Vec::new();
    for key in keys {
        let name = key
            .get("kid")
            .and_then(Value::as_str)
            .unwrap_or("without kid")
            .to_owned();
        let mut tried = kept.clone();
        tried.push(key.clone());
        let fits: Vec<&'static str> = algorithms_of(&key);
        let value = json!({
            "issuer": issuer,
            "any_audience": true,
            "algorithms": if fits.is_empty() { ALGORITHMS.to_vec() } else { fits.clone() },
            "keys": {"inline": {"keys": tried}},
        });
        match config::load(probe(&Map::new(), &value, None).to_string().as_bytes()) {
            Ok(_) if !fits.is_empty() => {
                kept.push(key);
                algorithms.extend(fits);
            }
            Ok(_) => report.list(
                &provider.place,
                &format!("key {name}"),
                "the filter has no algorithm for it; tokens that it signs are refused",
            ),
            Err(problem) => {
                let why = format!("{problem}; tokens that it signs are refused");
                report.list(&provider.place, &format!("key {name}"), &why);
            }
        }
    }
    if kept.is_empty() {
        report.list(
            &provider.place,
            issuer,
            "none of its keys can be imported; tokens of this issuer are refused",
        );
        return None;
    }
    let algorithms = ALGORITHMS
        .into_iter()
        .filter(|known| algorithms.contains(known))
        .collect();
    Some((algorithms, json!({"inline": {"keys": kept}})))
}

/// The algorithms that a public key can have.
fn algorithms_of(key: &Value) -> Vec<&'static str> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    if let Some(algorithm) = text("alg") {
        return ALGORITHMS
            .into_iter()
            .filter(|known| *known == algorithm)
            .collect();
    }
    match (text("kty"), text("crv")) {
        (Some("RSA"), _) => vec!["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        (Some("EC"), Some("P-256")) => vec!["ES256"],
        (Some("EC"), Some("P-384")) => vec!["ES384"],
        (Some("EC"), Some("P-521")) => vec!["ES512"],
        (Some("OKP"), Some("Ed25519")) => vec!["EdDSA"],
        _ => Vec::new(),
    }
}

/// A config with this issuer and a route of which only the test matters.
pub(super) fn probe(sections: &Map<String, Value>, issuer: &Value, when: Option<Value>) -> Value {
    let allow = when.map_or_else(|| json!("authenticated"), |when| json!({ "when": when }));
    let mut config = sections.clone();
    let claims = config.get("claims").and_then(Value::as_object);
    let mut claims = claims.cloned().unwrap_or_default();
    claims.insert("issuers".to_owned(), json!([issuer]));
    config.insert("claims".to_owned(), Value::Object(claims));
    config.insert(
        "rbac".to_owned(),
        json!({"routes": [{"name": "probe", "path": "/", "allow": allow}]}),
    );
    Value::Object(config)
}

fn forward(tokens: &mut Tokens, report: &mut Report) {
    let forwarding = tokens
        .providers
        .iter()
        .filter(|provider| provider.forward)
        .count();
    if forwarding == 0 {
        return;
    }
    if forwarding == tokens.providers.len() {
        tokens.claims.insert("forward".to_owned(), json!(true));
        return;
    }
    for provider in tokens.providers.iter().filter(|provider| provider.forward) {
        report.list(
            &provider.place,
            "forward",
            "the filter forwards the tokens of all issuers or of none; none are",
        );
    }
}

/// Headers from claims, if all providers set them alike.
fn identity(tokens: &mut Tokens, report: &mut Report) {
    let mut headers = Map::new();
    for provider in &tokens.providers {
        for header in &provider.claims_to_headers {
            let all = tokens
                .providers
                .iter()
                .all(|other| other.claims_to_headers.contains(header));
            let (name, claim) = header;
            let name = name.to_ascii_lowercase();
            if all && !headers.contains_key(&name) {
                headers.insert(name, json!(claim));
                report.note("Headers from claims: the filter joins lists by commas, and percent-encodes what a header cannot hold. It removes these headers where a client sends them.");
            } else if !all {
                report.list(
                    &provider.place,
                    &format!("header {name} from a claim"),
                    "the filter sets it for all issuers or for none; it is not set",
                );
            }
        }
    }
    if !headers.is_empty() {
        tokens
            .identity
            .insert("headers".to_owned(), Value::Object(headers));
    }
}
