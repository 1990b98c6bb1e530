//! Log lines to the host. The SDK's own logger panics where the host does not take a line, as one does
//! that was told to withhold `proxy_log` (Envoy's `capability_restriction_config`); a line that is lost
//! is no reason to lose a VM.

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::abi;

struct HostLogger;

impl Log for HostLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = match record.level() {
                Level::Trace => 0,
                Level::Debug => 1,
                Level::Info => 2,
                Level::Warn => 3,
                Level::Error => 4,
            };
            abi::log(level, &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Sends what is logged to the host, from `info` on. Again and again if called so.
pub(super) fn install() {
    // It fails where a logger is installed already: ours, by an earlier call.
    let _ = log::set_logger(&HostLogger);
    log::set_max_level(LevelFilter::Info);
    // Natively the default hook shows more.
    #[cfg(target_family = "wasm")]
    std::panic::set_hook(Box::new(|panic| abi::log(5, &panic.to_string())));
}
