//! No token panics, none without a good signature is accepted, and a good signature over anything
//! panics neither.
#![no_main]

mod support;

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use edge_claims::internals::{Action, Gate, Header, load};
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

const CONFIG: &str = r#"{
    "claims": {"cache_entries": 8, "issuers": [
        {"issuer": "secret", "any_audience": true, "algorithms": ["HS256"],
            "keys": {"secrets": [{"env": "S", "kid": "k1"}]}, "max_age": "10m", "require": ["sub"],
            "bind": {"method": "htm", "path": ["b", "htp"]}, "one_use": {"entries": 100}},
        {"issuer": "public", "audiences": ["mesh"], "algorithms": ["ES256"], "keys": {"inline": {"keys": [
            {"kty": "EC", "kid": "k1", "crv": "P-256",
                "x": "1o58ANBg0xihJUeqzPD12jDCtLNVH9fC3gvhy-PdLrI",
                "y": "uYQ0U27THpfH6Eg4omfuSEIYs_sIRJzTXIGAMwA60JU"}]}}}]},
    "rbac": {"roles": {"claim": ["r", "roles"], "format": "space"}, "routes": [
        {"name": "a", "path": "/{tenant}/{*rest}", "allow": [{"any_role": ["x"], "bind": {"tenant": "t"}},
            {"scopes": {"claim": "scope", "all": ["s"]}},
            {"when": {"any": [{"claim": "n", "at_least": 3}, {"claim": "acr", "in": ["a"]},
                {"not": {"claim": "n", "equals": 1}}, {"claim": "auth_time", "max_age": "5m"}]}}]}]},
    "identity": {"headers": {"x-sub": ["sub"], "x-any": ["any"]}}
}"#;

thread_local! {
    static GATE: std::cell::RefCell<Gate> = {
        let config = load(CONFIG.as_bytes()).expect("the config is good");
        std::cell::RefCell::new(Gate::new(config, &|_| Some(SECRET.to_vec()), 1).0)
    };
}

fuzz_target!(|bytes: &[u8]| {
    // As it is: nobody without a key is let through.
    assert!(!accepts(bytes), "accepted without a key: {bytes:?}");
    // Signed: header and payload are the two halves at the first line break.
    let at = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let (header, payload) = bytes.split_at(at);
    let encode = |bytes: &[u8]| Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default();
    let signed = format!(
        "{}.{}",
        encode(header),
        encode(payload.get(1..).unwrap_or_default())
    );
    let mac = hmac_sha256::HMAC::mac(signed.as_bytes(), SECRET);
    let _ = accepts(format!("{signed}.{}", encode(&mac)).as_bytes());
});

fn accepts(token: &[u8]) -> bool {
    let headers: [Header<'_>; 4] = [
        (b":method", b"GET"),
        (b":path", b"/a/b"),
        (b":authority", b"shop.example.com"),
        (b"x-edge-claims", token),
    ];
    let decision = GATE.with_borrow_mut(|gate| support::decide(gate, &headers, &[]));
    matches!(decision.action, Action::Forward(_))
}
