//! The requests of each policy: tokens, hosts, methods, paths, headers and peers.

use edge_claims_harness::Client;
use edge_claims_harness::tokens::{self, Key, now};
use serde_json::{Value, json};

use super::{Case, ISSUER, OTHER_ISSUER, Source, cases};

/// Requests of one case at most.
const PER_CASE: usize = 250;

const HOSTS: [&str; 6] = [
    "a.example",
    "x.b.example",
    "y.x.b.example",
    "b.example",
    "A.Example",
    "a.example:8080",
];

/// A token of the requests.
pub struct Token {
    pub text: String,
    pub claims: Value,
    pub valid: bool,
}

/// One request.
#[derive(Clone)]
pub struct Probe<'t> {
    pub method: &'static str,
    pub host: &'static str,
    pub path: String,
    pub token: Option<&'t Token>,
    pub header: Option<(&'static str, &'static str)>,
    pub peer: Option<&'static str>,
}

impl Probe<'_> {
    pub fn path_is(&self, path: &str) -> bool {
        self.path.split('?').next() == Some(path)
    }

    pub fn has_claim(&self, name: &str) -> bool {
        self.token
            .is_some_and(|token| token.valid && !token.claims[name].is_null())
    }

    pub fn bytes(&self, client: &Client) -> Vec<u8> {
        let mut request = client.request(self.method, &self.path).host(self.host);
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {}", token.text));
        }
        if let Some((name, value)) = self.header {
            request = request.header(name, value);
        }
        request.to_http1()
    }

    /// With the host that the filter judges and forwards.
    pub fn canonical(&self) -> Self {
        Self {
            host: HOSTS
                .into_iter()
                .find(|host| self.host.to_lowercase().split(':').next() == Some(host))
                .unwrap(),
            ..self.clone()
        }
    }

    pub fn show(&self) -> String {
        let token = self
            .token
            .map(|token| format!("{} (valid: {})", token.claims, token.valid));
        format!(
            "{} {} {} token {} header {:?} peer {:?}",
            self.method,
            self.host,
            self.path,
            token.as_deref().unwrap_or("none"),
            self.header,
            self.peer
        )
    }
}

/// Tokens of all kinds.
pub fn tokens_of(keys: &[Key; 2]) -> Vec<Token> {
    let stranger = Key::generate("ES256", "one");
    let of = |key: &Key, changes: Value, valid: bool| {
        let mut all = json!({"iss": ISSUER, "aud": ["api"], "exp": now() + 3_600});
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        let claims = tokens::claims(&all);
        Token {
            text: key.sign(&claims),
            claims,
            valid,
        }
    };
    vec![
        of(
            &keys[0],
            json!({"sub": "alice", "groups": ["group1", "group2"], "scope": "read write", "realm": {"roles": ["admin"]}}),
            true,
        ),
        of(
            &keys[0],
            json!({"sub": "bob", "groups": "group1", "azp": "client", "aud": "web", "level": 4, "scope": "write"}),
            true,
        ),
        of(
            &keys[0],
            json!({"sub": "alf", "groups": ["banned"], "staff": true, "aud": "none", "realm": {"roles": "owner"}}),
            true,
        ),
        of(
            &keys[0],
            json!({"sub": "", "level": 5, "scope": "readwrite"}),
            true,
        ),
        of(&keys[0], json!({"sub": null, "groups": "banned"}), true),
        of(
            &keys[1],
            json!({"iss": OTHER_ISSUER, "sub": "carol", "groups": ["group2"], "scope": "admin"}),
            true,
        ),
        of(
            &keys[0],
            json!({"sub": "alice", "groups": ["group1"], "exp": now() - 3_600}),
            false,
        ),
        of(
            &stranger,
            json!({"sub": "alice", "groups": ["group1"]}),
            false,
        ),
    ]
}

impl Case {
    /// Requests from all combinations, as many as one case may have.
    pub fn probes<'t>(&self, tokens: &'t [Token]) -> Vec<Probe<'t>> {
        const METHODS: [&str; 5] = ["GET", "POST", "DELETE", "HEAD", "OPTIONS"];
        let paths = self.paths();
        let peers: &[Option<&str>] = if self.mtls {
            &[None, Some(cases::SLEEP), Some(cases::OTHER)]
        } else {
            &[None]
        };
        let headers: Vec<Option<(&str, &str)>> = std::iter::once(None)
            .chain(
                self.headers
                    .iter()
                    .copied()
                    .filter(|(name, _)| *name != "x-none")
                    .map(Some),
            )
            .collect();
        let sizes = [
            METHODS.len(),
            HOSTS.len(),
            paths.len(),
            tokens.len() + 1,
            headers.len(),
            peers.len(),
        ];
        let total: usize = sizes.iter().product();
        (0..PER_CASE.min(total) as u64)
            .map(|number| {
                let mut rest = usize::try_from(mix(number) % total as u64).unwrap();
                let mut digit = |size: usize| {
                    let digit = rest % size;
                    rest /= size;
                    digit
                };
                let [method, host, path, token, header, peer] = sizes.map(&mut digit);
                Probe {
                    method: METHODS[method],
                    host: HOSTS[host],
                    path: paths[path].clone(),
                    token: token.checked_sub(1).map(|token| &tokens[token]),
                    header: headers[header],
                    peer: peers[peer],
                }
            })
            .collect()
    }

    /// The paths that the policy names, those around them, and others.
    fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        let sources = match &self.source {
            Source::Istio(values) | Source::Envoy(values) => values,
        };
        for source in sources {
            strings(source, &mut found);
        }
        let mut paths: Vec<String> = ["/", "/x", "/x/y?a=/public/b"].map(str::to_owned).to_vec();
        for path in found
            .iter()
            .filter(|text| text.starts_with('/') || text.starts_with("*."))
        {
            let base = path.replace("{**}", "a/b").replace("{*}", "a");
            let base = base.trim_matches('*');
            let base = if base.starts_with('/') {
                base.to_owned()
            } else {
                format!("/data/x{base}")
            };
            let bare = base.trim_end_matches('/');
            paths.extend([
                base.clone(),
                bare.to_owned(),
                format!("{bare}/"),
                format!("{bare}/x"),
                format!("{bare}/x/y"),
                format!("{bare}x"),
                format!("{bare}?q=1"),
                bare.to_uppercase(),
                bare.rsplit_once('/')
                    .map_or(String::new(), |(parent, _)| format!("{parent}/other")),
            ]);
        }
        paths.retain(|path| path.starts_with('/'));
        paths.sort();
        paths.dedup();
        paths
    }
}

/// SplitMix64: the same choice of requests in every run.
const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(members) => members.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}
