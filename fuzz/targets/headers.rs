//! Any headers: no panic, and nobody without a token gets further than the public route, nor brings
//! identity headers there, under any alias.
#![no_main]

mod support;

use edge_claims::internals::{Action, CanonicalPath, Gate, Header, load};
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = r#"{
    "claims": {"issuers": [{"issuer": "i", "any_audience": true, "algorithms": ["HS256"],
        "keys": {"secrets": [{"env": "S"}]}}]},
    "rbac": {"cors_preflight": "allow", "routes": [
        {"name": "public", "path": "/public/{*rest}", "allow": "public"},
        {"name": "rest", "path": "/{*rest}", "allow": {"any_role": ["x"], "when": {"header": "x-env", "prefix": "p"}}}],
        "roles": {"claim": "roles"}},
    "identity": {"headers": {"x-auth-subject": ["sub"]}},
    "log": {"allow": 1.0}
}"#;

thread_local! {
    static GATE: std::cell::RefCell<Gate> = {
        let config = load(CONFIG.as_bytes()).expect("the config is good");
        std::cell::RefCell::new(Gate::new(config, &|_| None, 1).0)
    };
}

fuzz_target!(|bytes: &[u8]| {
    let headers: Vec<Header<'_>> = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| {
            let at = line
                .iter()
                .skip(1)
                .position(|byte| *byte == b':')
                .map_or(line.len(), |at| at + 1);
            let (name, value) = line.split_at(at);
            (name, value.get(1..).unwrap_or_default())
        })
        .collect();
    check(&headers);
});

fn check(headers: &[Header<'_>]) {
    let decision = GATE.with_borrow_mut(|gate| support::decide(gate, headers, &[]));
    if let Some(record) = &decision.record {
        assert!(
            record.bytes().all(|byte| (0x20..=0x7e).contains(&byte)),
            "{record}"
        );
    }
    let Action::Forward(forward) = &decision.action else {
        return;
    };
    let method = headers.iter().rfind(|(name, _)| *name == b":method");
    let path = headers.iter().rfind(|(name, _)| *name == b":path");
    let preflight = method.is_some_and(|(_, value)| value == b"OPTIONS");
    let public = decoded_public(path.copied());
    assert!(preflight || public, "it went through: {headers:?}");
    for (name, _) in headers.iter() {
        let folded: Vec<u8> = name
            .iter()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    byte.to_ascii_lowercase()
                } else {
                    b'-'
                }
            })
            .collect();
        if folded == b"x-auth-subject" || folded == b"x-edge-claims" {
            let removed = forward
                .edits()
                .iter()
                .any(|edit| *edit.name == **name && edit.value.is_none());
            assert!(removed, "{:?} went through", String::from_utf8_lossy(name));
        }
    }
}

/// `/%70ublic` and the like.
fn decoded_public(path: Option<(&[u8], &[u8])>) -> bool {
    let Some((_, raw)) = path else { return false };
    let Ok(path) = CanonicalPath::parse(raw) else {
        return false;
    };
    path.segments().next() == Some(b"public".as_slice())
}
