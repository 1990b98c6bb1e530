//! Tasks of the build that cargo has no command for: `cargo xtask strip`.

mod strip;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask strip [IN.wasm [OUT.wasm]]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["strip"] => strip::run(&built_module(), &published_module()),
        ["strip", input] => strip::run(&PathBuf::from(input), &published_module()),
        ["strip", input, output] => strip::run(&PathBuf::from(input), &PathBuf::from(output)),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root: where `xtask/` lies.
fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// What cargo built: it puts it under `CARGO_TARGET_DIR` where that is set.
fn built_module() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("wasm32-wasip1/release/edge_claims.wasm")
}

/// Where users and tests find the module, wherever cargo builds.
fn published_module() -> PathBuf {
    root().join("target/edge_claims.wasm")
}
