//! The documented order of the checks against the pipeline: README.md and docs/decisions.md.

use edge_claims::internals::{
    AccessField, Action, Gate, Header, Headers, KeyWait, Portable, Reason, RequestContext, Step,
    load,
};
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use serde_json::{Value, json};

use crate::read;

/// 2026-01-01T00:00:00Z, in seconds since 1970.
const NOW: u64 = 1_767_225_600;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A policy whose one route has every condition, so that a request can fail all checks at once.
fn policy() -> Value {
    json!({
        "claims": {
            "max_bytes": 2048,
            "prefix": "Bearer ",
            "issuers": [{
                "issuer": "edge", "audiences": ["mesh"], "algorithms": ["HS256", "HS512"], "type": "edge-claims+jwt",
                "keys": {"secrets": [{"env": "SECRET", "kid": "k1"}, {"env": "STOLEN", "kid": "k2"},
                    {"env": "STOLEN", "kid": "stolen"}]},
                "max_age": "10m", "max_lifetime": "1h", "require": ["tenant"],
                "bind": {"method": "htm"}, "one_use": {},
                "revoked": {"kids": ["stolen"], "subjects": ["mallory"]},
            }, {
                "issuer": "other", "any_audience": true, "algorithms": ["HS256"],
                "keys": {"secrets": [{"env": "SECRET", "kid": "k1"}]},
            }],
        },
        "rbac": {
            "roles": {"claim": "roles"},
            "cors_preflight": "allow",
            "routes": [
                {"name": "tenant", "path": "/tenants/{tenant}", "allow": {
                    "issuers": ["edge"], "audiences": ["orders"], "any_role": ["reader"],
                    "scopes": {"claim": "scope", "all": ["read"]}, "bind": {"tenant": "tenant"},
                    "peers": ["spiffe://td/gw"], "when": {"claim": "level", "at_least": 2},
                }},
                {"name": "public", "path": "/public", "allow": "public"},
            ],
        },
        "identity": {"headers": {"x-auth-subject": ["sub"]}, "on_spoof": "reject"},
    })
}

/// A request that passes every check, until something is changed.
struct Attempt {
    method: &'static str,
    path: &'static str,
    host: &'static str,
    header: Value,
    claims: Value,
    /// What stands before the token.
    prefix: String,
    tokens: usize,
    forged: bool,
    spoofed: bool,
    preflight: bool,
    peer: Option<&'static str>,
    /// Whether a request with the same token was allowed before.
    used: bool,
}

impl Attempt {
    fn good() -> Self {
        Self {
            method: "GET",
            path: "/tenants/a",
            host: "shop.example.com",
            header: json!({"alg": "HS256", "kid": "k1", "typ": "edge-claims+jwt"}),
            claims: json!({"iss": "edge", "aud": ["mesh", "orders"], "sub": "alice", "jti": "1", "tenant": "a",
                "iat": NOW, "exp": NOW + 60, "htm": "GET", "roles": ["reader"], "scope": "read", "level": 2}),
            prefix: "Bearer ".to_owned(),
            tokens: 1,
            forged: false,
            spoofed: false,
            preflight: false,
            peer: Some("spiffe://td/gw"),
            used: false,
        }
    }

    fn token(&self) -> String {
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&self.header), part(&self.claims));
        let mut mac = hmac_sha256::HMAC::mac(signed.as_bytes(), SECRET);
        if self.forged {
            mac[0] ^= 1;
        }
        format!("{}{signed}.{}", self.prefix, base64url(&mac))
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (":method", self.method.to_owned()),
            (":path", self.path.to_owned()),
            (":authority", self.host.to_owned()),
        ];
        for _ in 0..self.tokens {
            headers.push(("x-edge-claims", self.token()));
        }
        if self.spoofed {
            headers.push(("x-auth-subject", "root".to_owned()));
        }
        if self.preflight {
            headers.push(("origin", "https://app.example.com".to_owned()));
            headers.push(("access-control-request-method", "GET".to_owned()));
        }
        headers
    }
}

/// What the pipeline does with a request.
struct Seen {
    /// As access logs show it: `deny/role/tenant`.
    verdict: String,
    /// The headers that it removes, where the request goes on.
    removed: Vec<String>,
}

fn decide(policy: &Value, attempt: &Attempt) -> Seen {
    let config = load(policy.to_string().as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
    let env = |name: &str| {
        Some(if name == "STOLEN" {
            b"x".repeat(32)
        } else {
            SECRET.to_vec()
        })
    };
    let (mut gate, _) = Gate::new(config, &env, 7);
    let mut decide = |attempt: &Attempt| {
        let headers = attempt.headers();
        let headers: Vec<Header<'_>> = headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        let peers = || attempt.peer.map(str::to_owned).into_iter().collect();
        let mut ctx = RequestContext {
            now_ms: NOW * 1_000,
            backend: &Portable,
            random: &mut || [9; 10],
            peers: &peers,
            key_wait: KeyWait::Exhausted,
            may_wait: &mut |_| false,
            assigned: None,
        };
        let Step::Done(decision) = gate.decide(&Headers::new(&headers), &mut ctx) else {
            panic!("the request waits");
        };
        let mut fields = decision.log_fields.iter();
        let verdict = fields.find(|(field, _)| *field == AccessField::Verdict);
        let removed = match &decision.action {
            Action::Forward(forward) => forward
                .edits()
                .iter()
                .filter(|edit| edit.value.is_none())
                .map(|edit| String::from_utf8_lossy(&edit.name).into_owned())
                .collect(),
            _ => Vec::new(),
        };
        Seen {
            verdict: verdict
                .map(|(_, text)| text.to_string())
                .unwrap_or_default(),
            removed,
        }
    };
    if attempt.used {
        let first = decide(&Attempt::good());
        assert_eq!(first.verdict, "allow/tenant");
    }
    decide(attempt)
}

type Change = fn(&mut Attempt);

/// The checks in their order, each with a change that makes a request fail it.
const CHECKS: [(&str, Change); 32] = [
    ("spoofed_header", |it| it.spoofed = true),
    ("claims_repeated", |it| it.tokens = 2),
    ("request_malformed", |it| it.host = "a..b"),
    ("path_ambiguous", |it| it.path = "/tenants//b"),
    ("claims_missing", |it| it.tokens = 0),
    ("claims_too_large", |it| {
        it.claims["long"] = json!("x".repeat(2_048))
    }),
    ("claims_malformed", |it| it.prefix = "Basic ".to_owned()),
    ("issuer_unknown", |it| it.claims["iss"] = json!("nobody")),
    ("algorithm_refused", |it| it.header["alg"] = json!("ES256")),
    ("revoked", |it| it.header["kid"] = json!("stolen")),
    ("key_unknown", |it| it.header["kid"] = json!("k9")),
    ("algorithm_refused", |it| it.header["alg"] = json!("HS512")),
    ("revoked", |it| it.header["kid"] = json!("k2")),
    ("signature_invalid", |it| it.forged = true),
    ("type", |it| it.header["typ"] = json!("JWT")),
    ("expired", |it| {
        it.claims["exp"] = json!(NOW - 60);
        it.claims["iat"] = json!(NOW - 7_200);
    }),
    ("not_yet_valid", |it| it.claims["nbf"] = json!(NOW + 60)),
    ("too_old", |it| it.claims["iat"] = json!(NOW - 3_600)),
    ("audience", |it| it.claims["aud"] = json!("nobody")),
    ("too_old", |it| it.claims["exp"] = json!(NOW + 3_601)),
    ("claim_required", |it| {
        it.claims.as_object_mut().unwrap().remove("jti");
    }),
    ("revoked", |it| it.claims["sub"] = json!("mallory")),
    ("binding_request", |it| it.claims["htm"] = json!("POST")),
    ("route_unknown", |it| it.path = "/nowhere"),
    ("issuer_route", |it| {
        it.claims["iss"] = json!("other");
    }),
    ("audience_route", |it| it.claims["aud"] = json!("mesh")),
    ("role", |it| it.claims["roles"] = json!([])),
    ("scope", |it| it.claims["scope"] = json!("write")),
    ("binding_route", |it| it.path = "/tenants/b"),
    ("peer", |it| it.peer = None),
    ("condition", |it| it.claims["level"] = json!(1)),
    ("replayed", |it| it.used = true),
];

/// Changes that cannot be combined with the others: without a route there are no conditions, and the other
/// issuer has other requirements.
const ALONE: [&str; 2] = ["route_unknown", "issuer_route"];

fn reason(verdict: &str) -> &str {
    verdict.split('/').nth(1).unwrap_or_default()
}

/// From the last check to the first: whatever else a request fails, the earliest check decides.
#[test]
fn a_request_that_fails_many_checks_is_denied_by_the_first() {
    let policy = policy();
    let good = decide(&policy, &Attempt::good());
    assert_eq!(good.verdict, "allow/tenant");
    let mut all = Attempt::good();
    for (code, change) in CHECKS.iter().rev() {
        let mut one = Attempt::good();
        change(&mut one);
        assert_eq!(reason(&decide(&policy, &one).verdict), *code, "alone");
        if ALONE.contains(code) {
            continue;
        }
        change(&mut all);
        let verdict = decide(&policy, &all).verdict;
        assert_eq!(reason(&verdict), *code, "{verdict}");
    }
}

/// The two changes that are left out above: these checks come after those of the token, and before the other
/// conditions of the route.
#[test]
fn a_missing_route_is_reported_after_the_token_and_before_the_conditions() {
    let policy = policy();
    let mut unknown = Attempt::good();
    unknown.path = "/nowhere";
    (unknown.peer, unknown.used) = (None, true);
    unknown.claims["level"] = json!(1);
    assert_eq!(reason(&decide(&policy, &unknown).verdict), "route_unknown");
    unknown.claims["htm"] = json!("POST");
    assert_eq!(
        reason(&decide(&policy, &unknown).verdict),
        "binding_request"
    );
    let mut other = Attempt::good();
    other.claims["iss"] = json!("other");
    other.claims["aud"] = json!("nobody");
    (other.peer, other.path) = (None, "/tenants/b");
    assert_eq!(reason(&decide(&policy, &other).verdict), "issuer_route");
}

/// The reasons in the last column of the table "The order".
fn documented() -> Vec<String> {
    let page = read("docs/decisions.md");
    let section = page.split("\n## The order\n").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut number = 0;
    let mut reasons = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let Ok(shown) = cells[1].parse::<usize>() else {
            continue;
        };
        number += 1;
        assert_eq!(shown, number, "{row}");
        reasons.extend(cells[3].split('`').nth(1).map(str::to_owned));
    }
    reasons
}

#[test]
fn the_page_has_the_checks_in_the_order_of_the_pipeline() {
    let tested: Vec<&str> = CHECKS.iter().map(|(code, _)| *code).collect();
    assert_eq!(documented(), tested);
}

/// README names some of the reasons, in the same order.
#[test]
fn the_readme_has_the_same_order() {
    let readme = read("README.md");
    let section = readme
        .split("\n## How a request is decided\n")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .expect("the section");
    let steps = section.lines().filter(|line| {
        line.starts_with(|letter: char| letter.is_ascii_digit()) || line.starts_with("   ")
    });
    let text: String = steps.collect();
    let named: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| Reason::from_code(word).is_some())
        .collect();
    assert!(named.len() >= 6, "{named:?}");
    let order = documented();
    let mut rest = order.iter();
    for name in named {
        assert!(rest.any(|code| code == name), "{name} is out of order");
    }
}

/// Row 4 of the table.
#[test]
fn a_preflight_passes_after_the_shape_of_the_request_and_before_the_token() {
    let policy = policy();
    let mut preflight = Attempt::good();
    (preflight.method, preflight.preflight) = ("OPTIONS", true);
    (preflight.tokens, preflight.peer) = (0, None);
    assert_eq!(decide(&policy, &preflight).verdict, "allow/tenant");
    preflight.tokens = 2;
    assert_eq!(
        reason(&decide(&policy, &preflight).verdict),
        "claims_repeated"
    );
    (preflight.tokens, preflight.host) = (0, "a..b");
    assert_eq!(
        reason(&decide(&policy, &preflight).verdict),
        "request_malformed"
    );
}

/// docs/config.md, `claims.forward`; docs/decisions.md, "Rolling out"; SECURITY.md.
#[test]
fn a_bad_token_is_always_removed() {
    for (mode, forward, path) in [
        ("shadow", true, "/tenants/a"),
        ("shadow", false, "/tenants/a"),
        ("shadow", true, "/public"),
        ("enforce", true, "/public"),
    ] {
        let mut policy = policy();
        policy["mode"] = json!(mode);
        policy["claims"]["forward"] = json!(forward);
        let mut attempt = Attempt::good();
        (attempt.forged, attempt.path) = (true, path);
        let seen = decide(&policy, &attempt);
        let expected = if path == "/public" {
            "allow/public"
        } else {
            "shadow/signature_invalid/tenant"
        };
        assert_eq!(seen.verdict, expected);
        let removed = seen.removed.iter().any(|name| name == "x-edge-claims");
        assert!(removed, "{mode} {forward} {path}");
    }
    let mut policy = policy();
    policy["claims"]["forward"] = json!(true);
    let seen = decide(&policy, &Attempt::good());
    assert_eq!(seen.verdict, "allow/tenant");
    assert_eq!(seen.removed, [""; 0], "a good token goes on");
}

/// docs/config.md, `bind.path` and `bind.path_and_query`.
#[test]
fn a_bound_path_leaves_the_query_free_and_path_and_query_do_not() {
    for (key, claim, path, holds) in [
        ("path", "/tenants/a", "/tenants/a", true),
        ("path", "/tenants/a", "/tenants/a?x=1", true),
        ("path", "/tenants/a", "/tenants/a?x=2", true),
        ("path", "/tenants/a?x=1", "/tenants/a?x=1", false),
        ("path", "/tenants/a?", "/tenants/a", false),
        ("path", "/tenants/%61", "/tenants/a", false),
        ("path", "/tenants/a", "/tenants/a/", false),
        ("path_and_query", "/tenants/a", "/tenants/a", true),
        ("path_and_query", "/tenants/a", "/tenants/a?x=1", false),
        ("path_and_query", "/tenants/a?x=1", "/tenants/a?x=1", true),
        ("path_and_query", "/tenants/a?x=1", "/tenants/a?x=2", false),
        ("path_and_query", "/tenants/a?x=1", "/tenants/a", false),
    ] {
        let mut policy = policy();
        policy["claims"]["issuers"][0]["bind"] = json!({key: "htp"});
        let mut attempt = Attempt::good();
        attempt.path = path;
        attempt.claims["htp"] = json!(claim);
        let verdict = decide(&policy, &attempt).verdict;
        let expected = if holds { "" } else { "binding_request" };
        let denied = verdict
            .strip_prefix("deny/")
            .map_or("", |_| reason(&verdict));
        assert_eq!(denied, expected, "{key} {claim} {path}");
    }
}

/// docs/config.md, `max_bytes` and `prefix`.
#[test]
fn the_size_of_a_token_counts_with_its_prefix() {
    let mut policy = policy();
    let size = Attempt::good().token().len();
    for (limit, verdict) in [
        (size, "allow/tenant"),
        (size - 1, "deny/claims_too_large/tenant"),
    ] {
        policy["claims"]["max_bytes"] = json!(limit);
        assert_eq!(decide(&policy, &Attempt::good()).verdict, verdict);
    }
    policy["claims"]["max_bytes"] = json!(2_048);
    for (prefix, verdict) in [
        ("bEARER ", "allow/tenant"),
        ("", "deny/claims_malformed/tenant"),
    ] {
        let mut attempt = Attempt::good();
        attempt.prefix = prefix.to_owned();
        assert_eq!(decide(&policy, &attempt).verdict, verdict);
    }
}

/// docs/decisions.md, "The order": where no route matches, and on a public route.
#[test]
fn a_token_counts_where_the_route_needs_one() {
    let policy = policy();
    for (path, tokens, forged, verdict) in [
        ("/nowhere", 0, false, "deny/claims_missing/-"),
        ("/nowhere", 1, true, "deny/signature_invalid/-"),
        ("/nowhere", 1, false, "deny/route_unknown/-"),
        ("/public", 0, false, "allow/public"),
        ("/public", 1, true, "allow/public"),
        ("/public", 2, false, "deny/claims_repeated/-"),
    ] {
        let mut attempt = Attempt::good();
        (attempt.path, attempt.tokens, attempt.forged) = (path, tokens, forged);
        assert_eq!(decide(&policy, &attempt).verdict, verdict, "{path}");
    }
    // A one-use token that was used before is removed on a public route.
    let mut used = Attempt::good();
    (used.path, used.used) = ("/public", true);
    let seen = decide(&policy, &used);
    assert_eq!(seen.verdict, "allow/public");
    assert!(seen.removed.iter().any(|name| name == "x-edge-claims"));
}

/// base64url without padding (RFC 4648 §5).
fn base64url(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}
