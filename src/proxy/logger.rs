//! Writes log lines to the host. The SDK's logger panics if `proxy_log` fails, as it does when Envoy's
//! `capability_restriction_config` restricts it; this one drops the line.

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

/// Sends log lines of level `info` and above to the host. Can be called repeatedly.
pub(super) fn install() {
    // Fails only if an earlier call has installed the logger.
    let _ = log::set_logger(&HostLogger);
    log::set_max_level(LevelFilter::Info);
    // Native builds keep the default hook, which shows more.
    #[cfg(target_family = "wasm")]
    std::panic::set_hook(Box::new(|panic| abi::log(5, &panic.to_string())));
}
