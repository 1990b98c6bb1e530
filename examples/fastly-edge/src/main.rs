//! The service: the only file that names the platform.

#[cfg(target_arch = "wasm32")]
mod platform;

#[cfg(target_arch = "wasm32")]
fn main() {
    platform::serve();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    eprintln!("fastly-edge runs on Fastly Compute: build it for wasm32-wasip1");
    std::process::ExitCode::from(2)
}
