//! One VM: contexts, requests, tokens. The callbacks are the SDK's own.

use std::sync::Arc;

use jwt_simple::algorithms::{ECDSAP256KeyPairLike, ES256KeyPair};
use jwt_simple::claims::JWTClaims;
use serde_json::{Value, json};

use crate::fake::{Host, Pairs, Reply, Stream, host, value, values};

unsafe extern "C" {
    safe fn proxy_on_context_create(context: u32, root: u32);
    safe fn proxy_on_vm_start(context: u32, size: usize) -> bool;
    safe fn proxy_on_configure(context: u32, size: usize) -> bool;
    safe fn proxy_on_tick(context: u32);
    safe fn proxy_on_request_headers(context: u32, headers: usize, end: bool) -> u32;
    safe fn proxy_on_request_body(context: u32, size: usize, end: bool) -> u32;
    safe fn proxy_on_request_trailers(context: u32, trailers: usize) -> u32;
    safe fn proxy_on_response_headers(context: u32, headers: usize, end: bool) -> u32;
    safe fn proxy_on_http_call_response(
        context: u32,
        token: u32,
        headers: usize,
        body: usize,
        trailers: usize,
    );
    safe fn proxy_on_done(context: u32) -> bool;
    safe fn proxy_on_log(context: u32);
    safe fn proxy_on_delete(context: u32);
}

/// The time at which a VM starts: 2026-01-01T00:00:00Z.
pub const NOW: u64 = 1_767_225_600;

pub const CLAIMS: &str = "x-edge-claims";

/// A VM with its host, on a thread of its own: the dispatcher is one per thread, and root contexts
/// are never taken away from it.
pub fn vm<T: Send + 'static>(life: impl FnOnce(&mut Vm) -> T + Send + 'static) -> T {
    vm_on(Host::default(), life)
}

/// The same on a host that was prepared.
pub fn vm_on<T: Send + 'static>(fake: Host, life: impl FnOnce(&mut Vm) -> T + Send + 'static) -> T {
    let run = move || {
        host(|host| {
            *host = fake;
            host.now = NOW * 1_000_000_000;
        });
        edge_claims::proxy::register();
        life(&mut Vm {
            roots: 0,
            streams: 99,
        })
    };
    std::thread::spawn(run)
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

pub struct Vm {
    roots: u32,
    streams: u32,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It goes on to the upstream with these headers.
    Passed(Pairs),
    Replied(Reply),
    /// It is held back, without an answer so far.
    Held,
}

impl Fate {
    #[track_caller]
    pub fn passed(self) -> Pairs {
        match self {
            Self::Passed(pairs) => pairs,
            other => panic!("it should have passed: {other:?}"),
        }
    }

    /// The reply to a request that must be denied, for that reason.
    #[track_caller]
    pub fn denied(self, status: u32, reason: &str) -> Reply {
        let Self::Replied(reply) = self else {
            panic!("{reason} was expected: {self:?}");
        };
        let expected = format!("edge_claims_denied{{{reason}}}");
        assert!(reply.details.starts_with(&expected), "{reply:?}");
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(reply.header("cache-control").as_deref(), Some("no-store"));
        reply
    }
}

impl Vm {
    /// A root context, started and without a config.
    pub fn root(&mut self) -> u32 {
        self.roots += 1;
        let root = self.roots;
        self.enter(root);
        proxy_on_context_create(root, 0);
        assert!(proxy_on_vm_start(root, 0), "the VM always starts");
        root
    }

    /// A root context with a config that must load.
    #[track_caller]
    pub fn plugin(&mut self, config: &Value) -> u32 {
        let root = self.root();
        let accepted = self.configure(root, &config.to_string());
        assert!(accepted, "{}", host(|host| host.log_text()));
        root
    }

    /// Whether the filter accepts the config.
    pub fn configure(&mut self, root: u32, config: &str) -> bool {
        host(|host| host.plugin_config = config.as_bytes().to_vec());
        self.enter(root);
        proxy_on_configure(root, config.len())
    }

    pub fn tick(&mut self, root: u32) {
        self.enter(root);
        proxy_on_tick(root);
    }

    /// Time goes on.
    pub fn wait(&mut self, milliseconds: u64) {
        host(|host| host.now += milliseconds * 1_000_000);
    }

    /// A stream that has seen nothing yet.
    pub fn stream(&mut self, root: u32) -> u32 {
        self.streams += 1;
        let id = self.streams;
        host(|host| host.streams.insert(id, Stream::default()));
        self.enter(id);
        proxy_on_context_create(id, root);
        id
    }

    /// The headers of a request without a body reach a stream.
    pub fn send(&mut self, id: u32, headers: &[(&str, &[u8])]) -> Fate {
        self.send_headers(id, headers, true)
    }

    /// The headers of a request reach a stream; `end` if neither body nor trailers follow.
    pub fn send_headers(&mut self, id: u32, headers: &[(&str, &[u8])], end: bool) -> Fate {
        let pairs = pairs(headers);
        let count = pairs.len();
        host(|host| host.streams.entry(id).or_default().request = Some(pairs));
        self.enter(id);
        if proxy_on_request_headers(id, count, end) == 0 {
            host(|host| host.streams.entry(id).or_default().continued = true);
        }
        self.fate(id)
    }

    /// A chunk of a body reaches a stream; whether it goes on.
    pub fn send_body(&mut self, id: u32, size: usize) -> bool {
        self.enter(id);
        proxy_on_request_body(id, size, false) == 0
    }

    /// The trailers of a request reach a stream; what goes on of them, if they do.
    pub fn send_trailers(&mut self, id: u32, trailers: &[(&str, &[u8])]) -> Option<Pairs> {
        let pairs = pairs(trailers);
        let count = pairs.len();
        host(|host| host.streams.entry(id).or_default().trailers = Some(pairs));
        self.enter(id);
        let goes_on = proxy_on_request_trailers(id, count) == 0;
        let left = host(|host| host.streams.get(&id)?.trailers.clone());
        left.filter(|_| goes_on)
    }

    /// What has become of a stream's request by now.
    pub fn fate(&self, id: u32) -> Fate {
        let stream = host(|host| host.streams.get(&id).cloned().unwrap_or_default());
        assert!(stream.replies.len() <= 1, "answered twice: {stream:?}");
        match (stream.replies.first(), stream.continued) {
            // Envoy ends the stream with a local response, whatever the callback returned.
            (Some(reply), _) => Fate::Replied(reply.clone()),
            (None, true) => Fate::Passed(stream.request.unwrap_or_default()),
            (None, false) => Fate::Held,
        }
    }

    /// One request and what came of it; its stream ends as Envoy ends one.
    pub fn request(&mut self, root: u32, headers: &[(&str, &[u8])]) -> Fate {
        self.exchange(root, headers).0
    }

    /// A request with the response headers that the client sees, and the filter state.
    pub fn exchange(&mut self, root: u32, headers: &[(&str, &[u8])]) -> (Fate, Pairs, Stream) {
        let id = self.stream(root);
        let fate = self.send(id, headers);
        let response = self.respond(id);
        let stream = host(|host| host.streams.get(&id).cloned().unwrap_or_default());
        self.end(id);
        (fate, response, stream)
    }

    /// Response headers reach a stream, as an upstream or an earlier filter sent them.
    pub fn respond(&mut self, id: u32) -> Pairs {
        let response = vec![(b":status".to_vec(), b"200".to_vec())];
        host(|host| {
            let stream = host.streams.entry(id).or_default();
            stream.request = None;
            stream.response = Some(response);
        });
        self.enter(id);
        assert_eq!(proxy_on_response_headers(id, 1, true), 0, "responses go on");
        host(|host| host.streams.get(&id)?.response.clone()).unwrap_or_default()
    }

    /// A stream's end.
    pub fn end(&mut self, id: u32) {
        self.enter(id);
        proxy_on_log(id);
        assert!(proxy_on_done(id));
        proxy_on_delete(id);
        host(|host| host.streams.remove(&id));
    }

    /// The answer to a call: status and body, or `None` where the call came to nothing.
    pub fn answer(&mut self, root: u32, token: u32, answer: Option<(&str, &[u8])>) {
        let headers = answer.map(|(status, _)| vec![(b":status".to_vec(), status.into())]);
        let body = answer.map(|(_, body)| body.to_vec());
        let (count, size) = (
            headers.as_ref().map_or(0, Vec::len),
            body.as_ref().map_or(0, Vec::len),
        );
        host(|host| {
            host.call_headers = headers;
            host.call_body = body;
            host.calls.retain(|call| call.token != token);
        });
        self.enter(root);
        proxy_on_http_call_response(root, token, count, size, 0);
        host(|host| {
            host.call_headers = None;
            host.call_body = None;
        });
    }

    fn enter(&self, context: u32) {
        host(|host| host.effective = context);
    }
}

fn pairs(headers: &[(&str, &[u8])]) -> Pairs {
    let pair = |(name, value): &(&str, &[u8])| (name.as_bytes().to_vec(), value.to_vec());
    headers.iter().map(pair).collect()
}

/// A header of a request.
pub type Header<'h> = (&'h str, &'h [u8]);

/// The headers of a GET, with more.
pub fn get<'h>(path: &'h str, more: &[(&'h str, &'h [u8])]) -> Vec<(&'h str, &'h [u8])> {
    let mut headers: Vec<(&str, &[u8])> = vec![
        (":method", b"GET"),
        (":path", path.as_bytes()),
        (":scheme", b"https"),
        (":authority", b"shop.example.com"),
    ];
    headers.extend_from_slice(more);
    headers
}

/// The edge's key.
#[derive(Clone)]
pub struct Edge(Arc<ES256KeyPair>);

impl Edge {
    pub fn new(kid: &str) -> Self {
        Self(Arc::new(ES256KeyPair::generate().with_key_id(kid)))
    }

    /// The public JWK, with its `kid`.
    pub fn jwk(&self) -> Value {
        let mut jwk: Value = serde_json::from_str(&self.0.to_jwk()).unwrap();
        let members = jwk.as_object_mut().unwrap();
        members.remove("d");
        members.insert("kid".into(), json!(self.0.key_id()));
        jwk
    }

    /// A token that is good at [`NOW`] and for a minute, with changes to its claims.
    pub fn token(&self, changes: &Value) -> Vec<u8> {
        let mut custom = json!({"roles": ["reader"], "tenant_id": "a"});
        for (name, value) in changes.as_object().unwrap() {
            custom[name] = value.clone();
        }
        let at = |seconds: u64| Some(jwt_simple::prelude::Duration::from_secs(seconds));
        // jwt-simple writes these two itself; twice they would be duplicate members.
        let mut registered = |name| {
            let value = custom.as_object_mut()?.remove(name)?;
            value.as_str().map(str::to_owned)
        };
        let (token_id, issuer) = (registered("jti"), registered("iss"));
        let expiry = custom
            .as_object_mut()
            .and_then(|custom| custom.remove("exp"));
        let expiry = expiry
            .and_then(|expiry| expiry.as_u64())
            .unwrap_or(NOW + 60);
        let claims = JWTClaims {
            issued_at: at(NOW),
            expires_at: at(expiry),
            invalid_before: None,
            issuer: issuer.or_else(|| Some("https://edge.example.com".into())),
            subject: Some("alice".into()),
            audiences: Some(jwt_simple::claims::Audiences::AsString(
                "mesh.example.com".into(),
            )),
            jwt_id: token_id,
            nonce: None,
            custom,
        };
        self.0.sign(claims).unwrap().into_bytes()
    }
}

/// A config for that edge, with a bit of everything.
pub fn config(edge: &Edge) -> Value {
    json!({
        "claims": {"issuers": [{
            "issuer": "https://edge.example.com",
            "audiences": ["mesh.example.com"],
            "algorithms": ["ES256"],
            "keys": {"inline": {"keys": [edge.jwk()]}},
        }]},
        "rbac": {
            "roles": {"claim": "roles"},
            "routes": [
                {"name": "public", "path": "/public/{*rest}", "allow": "public"},
                {"name": "orders", "path": "/tenants/{tenant}/orders/{*rest}",
                    "allow": {"any_role": ["reader"], "bind": {"tenant": "tenant_id"}}},
                {"name": "admin", "path": "/admin/{*rest}", "allow": {"any_role": ["admin"]}},
                {"name": "inside", "path": "/inside", "allow": {"peers": ["spiffe://mesh/ns/a/*"]}},
            ],
        },
        "identity": {"headers": {"x-auth-subject": ["sub"], "x-auth-roles": ["roles"]}},
    })
}

/// The same with keys from a server instead.
pub fn remote_config() -> Value {
    let mut config = config(&Edge::new("unused"));
    config["claims"]["issuers"][0]["keys"] = json!({"remote": {
        "url": "https://keys.example.com/jwks.json", "cluster": "keys", "timeout": "2s"}});
    config
}

/// A host that has the cluster of [`remote_config`].
pub fn host_with_keys() -> Host {
    Host {
        clusters: vec!["keys".to_owned()],
        ..Host::default()
    }
}

/// A header of what the upstream gets.
#[track_caller]
pub fn seen(pairs: &Pairs, name: &str) -> Option<String> {
    value(pairs, name)
}

/// How often a header reaches the upstream, in any spelling of `-`, `_` and case.
pub fn instances(pairs: &Pairs, name: &str) -> usize {
    let dashed = name.replace('_', "-");
    let under = name.replace('-', "_");
    if dashed == under {
        values(pairs, name).len()
    } else {
        values(pairs, &dashed).len() + values(pairs, &under).len()
    }
}
