//! No bytes panic as a config, they give the same result every time, and a config that was accepted
//! decides about requests without panicking.
#![no_main]

mod support;

use edge_claims::internals::{Config, Gate, Header, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match (load(bytes), load(bytes)) {
        (Err(one), Err(two)) => {
            assert_eq!(one.to_string(), two.to_string());
            assert!(!one.0.is_empty(), "an error says why");
        }
        (Ok(config), Ok(_)) => decide(config),
        _ => panic!("the result must depend on the bytes alone"),
    }
});

fn decide(config: Config) {
    let paths: Vec<String> = config
        .rbac
        .routes
        .routes()
        .iter()
        .take(8)
        .map(|route| route.path.to_string())
        .collect();
    let (mut gate, _) = Gate::new(config, &|_| None, 1);
    for path in &paths {
        let path = path.replace(['{', '}', '*'], "");
        let headers: [Header<'_>; 5] = [
            (b":method", b"GET"),
            (b":path", path.as_bytes()),
            (b":authority", b"shop.example.com:8443"),
            (b"x-edge-claims", b"a.b.c"),
            (b"x-correlation-id", b"1"),
        ];
        let _ = support::decide(&mut gate, &headers, &["spiffe://td/x"]);
    }
}
