//! The built module: what it asks of its host, what it offers, how large it is.

use std::fs;

use edge_claims_harness::tools;
use wasmparser::{Parser, Payload};

/// What Envoy 1.36 offers under `wasi_snapshot_preview1`; a module that imports more does not load.
const WASI: [&str; 12] = [
    "fd_write",
    "fd_read",
    "fd_seek",
    "fd_close",
    "fd_fdstat_get",
    "environ_get",
    "environ_sizes_get",
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "random_get",
    "proc_exit",
];

/// What Envoy 1.36 offers under `env`: the functions of proxy-wasm ABI 0.2.1.
const ENV: [&str; 39] = [
    "proxy_log",
    "proxy_get_log_level",
    "proxy_get_current_time_nanoseconds",
    "proxy_set_tick_period_milliseconds",
    "proxy_get_status",
    "proxy_get_property",
    "proxy_set_property",
    "proxy_get_buffer_bytes",
    "proxy_set_buffer_bytes",
    "proxy_get_buffer_status",
    "proxy_get_header_map_pairs",
    "proxy_set_header_map_pairs",
    "proxy_get_header_map_size",
    "proxy_get_header_map_value",
    "proxy_add_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_register_shared_queue",
    "proxy_resolve_shared_queue",
    "proxy_enqueue_shared_queue",
    "proxy_dequeue_shared_queue",
    "proxy_continue_stream",
    "proxy_close_stream",
    "proxy_send_local_response",
    "proxy_http_call",
    "proxy_grpc_call",
    "proxy_grpc_stream",
    "proxy_grpc_send",
    "proxy_grpc_close",
    "proxy_grpc_cancel",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
    "proxy_get_metric",
    "proxy_set_effective_context",
    "proxy_done",
    "proxy_call_foreign_function",
];

#[test]
fn it_imports_only_what_envoy_1_36_offers() {
    let mut count = 0;
    for payload in Parser::new(0).parse_all(&fs::read(tools::module()).unwrap()) {
        let Payload::ImportSection(imports) = payload.unwrap() else {
            continue;
        };
        for import in imports.into_imports() {
            let import = import.unwrap();
            let offered: &[&str] = match import.module {
                "env" => &ENV,
                "wasi_snapshot_preview1" => &WASI,
                _ => &[],
            };
            assert!(
                offered.contains(&import.name),
                "{}.{}",
                import.module,
                import.name
            );
            count += 1;
        }
    }
    assert!(count > 0, "a filter without imports could do nothing");
}

#[test]
fn it_exports_no_callback_that_only_costs() {
    let mut exports = Vec::new();
    let bytes = fs::read(tools::module()).unwrap();
    for payload in Parser::new(0).parse_all(&bytes) {
        if let Payload::ExportSection(section) = payload.unwrap() {
            exports.extend(section.into_iter().map(|export| export.unwrap().name));
        }
    }
    for unused in [
        "response_body",
        "response_trailers",
        "downstream",
        "upstream",
        "foreign",
        "queue",
        "grpc",
    ] {
        assert!(
            !exports.iter().any(|name| name.contains(unused)),
            "{exports:?}"
        );
    }
    for needed in [
        "proxy_on_request_headers",
        "proxy_on_request_body",
        "proxy_on_request_trailers",
        "proxy_on_response_headers",
        "proxy_on_delete",
    ] {
        assert!(exports.contains(&needed), "{exports:?}");
    }
    const GOAL: usize = 900_000;
    let verdict = if bytes.len() <= GOAL {
        "within"
    } else {
        "above"
    };
    println!(
        "edge_claims.wasm: {} bytes, {verdict} the goal of {GOAL}",
        bytes.len()
    );
}
