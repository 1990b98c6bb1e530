//! Removes the callbacks that the filter leaves empty from the module's exports.
//!
//! The SDK exports every callback of the ABI, and Envoy calls what is exported: each body chunk and
//! each trailer would enter the VM for nothing. What only those callbacks reached goes with them.

use std::fs;
use std::path::Path;

use walrus::Module;

/// The exports that stay. Without `proxy_on_delete` contexts would never be freed; `_initialize`
/// runs the constructors; the host finds memory through the rest.
///
/// A callback that the filter implements must be here, or Envoy never calls it.
pub const KEEP: [&str; 15] = [
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "malloc",
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_http_call_response",
    "proxy_on_delete",
];

/// Exports without which no host runs the module.
const NEEDED: [&str; 7] = [
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_context_create",
    "proxy_on_configure",
    "proxy_on_request_headers",
    "proxy_on_delete",
];

/// Reads a module, strips it, writes it, and says what came of it.
///
/// # Errors
/// What went wrong, with the file's name.
pub fn run(input: &Path, output: &Path) -> Result<String, String> {
    let before = fs::read(input)
        .map_err(|error| format!("{}: {error}; `make wasm` builds it", input.display()))?;
    let (after, removed) =
        strip(&before).map_err(|problem| format!("{}: {problem}", input.display()))?;
    if let Some(folder) = output.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    // A running Envoy or test may be reading the old file: never leave a half-written one.
    let fresh = output.with_extension("wasm.new");
    fs::write(&fresh, &after)
        .and_then(|()| fs::rename(&fresh, output))
        .map_err(|error| format!("{}: {error}", output.display()))?;
    Ok(format!(
        "{}: {} bytes ({} before; {} unused callbacks removed)",
        output.display(),
        after.len(),
        before.len(),
        removed.len(),
    ))
}

/// The stripped module and the names of the exports that went.
fn strip(bytes: &[u8]) -> Result<(Vec<u8>, Vec<String>), String> {
    let mut module = Module::from_buffer(bytes).map_err(|error| format!("no module: {error:#}"))?;
    let (doomed, removed): (Vec<_>, Vec<_>) = module
        .exports
        .iter()
        .filter(|export| !KEEP.contains(&export.name.as_str()))
        .map(|export| (export.id(), export.name.clone()))
        .unzip();
    for id in doomed {
        module.exports.delete(id);
    }
    for name in NEEDED {
        if !module.exports.iter().any(|export| export.name == name) {
            return Err(format!(
                "it does not export {name}: was it built with `--features proxy`?"
            ));
        }
    }
    walrus::passes::gc::run(&mut module);
    Ok((module.emit_wasm(), removed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = r#"(module
        (import "env" "proxy_get_property" (func $used))
        (import "env" "proxy_log" (func $unused))
        (memory (export "memory") 1)
        (func (export "_initialize"))
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "proxy_on_context_create") (param i32 i32))
        (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $used) (i32.const 0))
        (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
            (call $unused) (i32.const 0))
        (func (export "proxy_on_delete") (param i32)))"#;

    #[test]
    fn an_unused_callback_goes_with_all_that_only_it_reached() {
        let (after, removed) = strip(&wat::parse_str(MODULE).unwrap()).unwrap();
        assert_eq!(removed, ["proxy_on_response_body"]);
        let module = Module::from_buffer(&after).unwrap();
        let imports: Vec<_> = module
            .imports
            .iter()
            .map(|import| import.name.as_str())
            .collect();
        assert_eq!(imports, ["proxy_get_property"]);
    }

    #[test]
    fn a_module_that_is_no_filter_is_refused() {
        let text = MODULE.replace("proxy_on_delete", "other");
        let problem = strip(&wat::parse_str(&text).unwrap()).unwrap_err();
        assert!(problem.contains("proxy_on_delete"), "{problem}");
    }
}
