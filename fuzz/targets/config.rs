//! No bytes panic as a config, they give the same result every time, and a config that was accepted
//! decides about requests without panicking.
#![no_main]

use edge_claims::internals::{Gate, Patience, Surroundings};
use edge_claims::internals::HeaderBuffer;
use edge_claims::internals::Portable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let load = || edge_claims::internals::load(bytes);
    match (load(), load()) {
        (Err(one), Err(two)) => {
            assert_eq!(one.to_string(), two.to_string());
            assert!(!one.0.is_empty(), "a refusal says why");
        }
        (Ok(config), Ok(_)) => decide(config),
        _ => panic!("the result must depend on the bytes alone"),
    }
});

fn decide(config: edge_claims::internals::Config) {
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
        let headers: HeaderBuffer = [
            (":method", "GET"),
            (":path", path.as_str()),
            (":authority", "shop.example.com"),
            ("x-edge-claims", "a.b.c"),
            ("x-correlation-id", "1"),
        ]
        .into_iter()
        .collect();
        let mut around = Surroundings {
            now: 1_767_225_600_000,
            backend: &Portable,
            random: &mut || [0; 10],
            peers: &|| vec!["spiffe://td/x".to_owned()],
            patience: Patience::None,
        };
        let _ = gate.decide(&headers.headers(), &mut around);
    }
}
