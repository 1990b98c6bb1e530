//! The harness itself, against a real Envoy without the filter: what it sends arrives as it was sent,
//! and a VM that fails is noticed.

use std::fs;
use std::path::PathBuf;

use edge_claims_harness::setup::string_value;
use edge_claims_harness::tls::Authority;
use edge_claims_harness::{Envoy, Reload, Setup, Upstream};
use serde_json::json;
use tempfile::TempDir;

/// A module that does nothing, but for what `on_request_headers` and `on_configure` do.
fn module(on_configure: &str, on_request_headers: &str) -> (TempDir, PathBuf) {
    let text = format!(
        r#"(module
        (import "env" "proxy_get_shared_data"
            (func $shared (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_set_shared_data"
            (func $share (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 2)
        (global $free (mut i32) (i32.const 1024))
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
            (global.get $free)
            (global.set $free (i32.add (global.get $free) (local.get $size))))
        (func (export "proxy_on_context_create") (param i32 i32))
        (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
        (func (export "proxy_on_configure") (param i32 i32) (result i32) {on_configure})
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            {on_request_headers})
        (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
        (func (export "proxy_on_delete") (param i32)))"#
    );
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("module.wasm");
    fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
    (folder, path)
}

const ACCEPT: &str = "(i32.const 1)";
const REFUSE: &str = "(i32.const 0)";
/// Accepts the config once in the process, and refuses it ever after.
const ACCEPT_ONCE: &str = "(if (result i32)
    (i32.eqz (call $shared (i32.const 0) (i32.const 4) (i32.const 8) (i32.const 12) (i32.const 16)))
    (then (i32.const 0))
    (else (drop (call $share
            (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 4) (i32.const 0)))
        (i32.const 1)))";
const CONTINUE: &str = "(i32.const 0)";
const TRAP: &str = "unreachable";

fn with_module(upstream: &Upstream, on_request_headers: &str) -> (TempDir, Envoy) {
    let (folder, path) = module(ACCEPT, on_request_headers);
    (
        folder,
        Setup::new(upstream).wasm(&path, string_value("")).start(),
    )
}

#[test]
fn every_byte_of_a_request_arrives_as_it_was_sent() {
    let upstream = Upstream::start();
    let envoy = Setup::new(&upstream).start();
    let response = envoy
        .request("POST", "/a%2Fb//..;x?q=%00")
        .host("Shop.Example.com:80")
        .header("x-twice", "one")
        .header("x-twice", "two")
        .header("X_Under", "a")
        .header("x-bytes", b"\xff\x80")
        .body("hello")
        .send();
    assert_eq!(response.status, 200, "{response:?}");
    let seen = upstream.only();
    assert_eq!(seen.method, b"POST");
    assert_eq!(seen.path(), "/a%2Fb//..;x?q=%00");
    assert_eq!(seen.authority, b"Shop.Example.com:80");
    assert_eq!(seen.all("x-twice"), ["one", "two"]);
    assert_eq!(seen.all("x_under"), ["a"]);
    assert_eq!(seen.all("x-bytes"), ["\\xff\\x80"]);
    assert_eq!(seen.body, b"hello");
    assert_eq!(response.json()["path"], seen.path());
    envoy.finish();
}

#[test]
fn http2_and_grpc_pass_through_with_their_trailers() {
    let upstream = Upstream::start();
    let envoy = Setup::new(&upstream).http2_upstreams().start();
    let response = envoy
        .get("/two")
        .http2()
        .header("x-large", vec![b'a'; 20_000])
        .send();
    assert_eq!(response.status, 200, "{response:?}");
    let seen = upstream.only();
    assert_eq!((seen.protocol, seen.path().as_str()), ("2", "/two"));
    assert_eq!(seen.header("x-large").unwrap().len(), 20_000);

    let response = envoy.grpc("/shop.Orders/Get", b"message").send();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.trailer("grpc-status").as_deref(), Some("0"));
    assert_eq!(response.body, b"\0\0\0\0\x07message");
    assert_eq!(upstream.only().method, b"POST");
    envoy.finish();
}

#[test]
fn tls_and_mtls_clients_get_through() {
    let upstream = Upstream::start();
    let authority = Authority::new();
    let peer = authority.client("spiffe://cluster.local/ns/edge/sa/gateway");
    let print_peer = json!({"forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"uri": true}});
    let envoy = Setup::new(&upstream)
        .mtls(&authority, &peer)
        .hcm(&print_peer)
        .start();
    assert_eq!(envoy.get("/one").send().status, 200);
    let shown = upstream.only().header("x-forwarded-client-cert").unwrap();
    assert!(
        shown.contains("URI=spiffe://cluster.local/ns/edge/sa/gateway"),
        "{shown}"
    );
    assert_eq!(envoy.get("/two").http2().send().status, 200);
    envoy.finish();

    let envoy = Setup::new(&upstream).tls(&authority).start();
    assert_eq!(envoy.get("/").send().status, 200);
    envoy.finish();
}

#[test]
fn a_refused_listener_is_reported_at_start_and_at_reload() {
    let upstream = Upstream::start();
    let (_folder, refusing) = module(REFUSE, CONTINUE);
    let problem = Setup::new(&upstream)
        .wasm(&refusing, string_value(""))
        .try_start()
        .unwrap_err();
    assert!(problem.contains("refused the listener"), "{problem}");

    let reply = |status: u16| {
        json!({"name": "reply", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": format!(
                "function envoy_on_request(h) h:respond({{[\":status\"] = \"{status}\"}}, \"\") end")},
        }})
    };
    let mut envoy = Setup::new(&upstream)
        .concurrency(2)
        .filter(reply(418))
        .start();
    assert_eq!(envoy.get("/").send().status, 418);
    let result = envoy.reload(|setup| setup.without_filters().wasm(&refusing, string_value("")));
    assert!(matches!(result, Reload::Rejected(_)), "{result:?}");
    for _ in 0..10 {
        assert_eq!(
            envoy.get("/").send().status,
            418,
            "the old listener goes on"
        );
    }
    let result = envoy.reload(|setup| setup.without_filters().filter(reply(419)));
    assert_eq!(result, Reload::Accepted);
    for _ in 0..10 {
        assert_eq!(
            envoy.get("/").send().status,
            419,
            "the new listener is there"
        );
    }
    assert_eq!(upstream.count(), 0);
    envoy.abandon();
}

#[test]
fn a_module_that_works_leaves_no_sign_of_failure() {
    let upstream = Upstream::start();
    let (_folder, envoy) = with_module(&upstream, CONTINUE);
    assert_eq!(envoy.get("/").header("x-test", "1").send().status, 200);
    assert_eq!(envoy.access_of("1")["status"], 200);
    envoy.finish();
}

#[test]
fn a_trap_is_noticed() {
    let upstream = Upstream::start();
    let (_folder, mut envoy) = with_module(&upstream, TRAP);
    let response = envoy.get("/").send();
    assert_eq!(
        (response.status, upstream.count()),
        (503, 0),
        "{response:?}"
    );
    let signs = envoy.vm_failures();
    assert!(!signs.is_empty());
    envoy.abandon();
}

#[test]
#[should_panic(expected = "a VM failed")]
fn a_trap_fails_the_test_that_saw_it() {
    let upstream = Upstream::start();
    let (_folder, envoy) = with_module(&upstream, TRAP);
    let _ = envoy.get("/").send();
    drop(envoy);
}

/// Workers that refuse a config which the main thread accepted run without the filter, whatever its
/// failure policy. Only this check notices it.
#[test]
fn a_worker_without_the_filter_is_noticed() {
    let upstream = Upstream::start();
    let (_folder, path) = module(ACCEPT_ONCE, TRAP);
    let mut envoy = Setup::new(&upstream).wasm(&path, string_value("")).start();
    assert_eq!(envoy.get("/").send().status, 200);
    assert!(!envoy.vm_failures().is_empty());
    envoy.abandon();
}
