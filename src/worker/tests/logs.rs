//! The log lines of a test, which runs on its own thread.

use std::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl Log for Lines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with(|lines| lines.borrow_mut().push(record.args().to_string()));
    }

    fn flush(&self) {}
}

/// Starts to record log lines.
pub(super) fn install() {
    // Fails if it is already installed.
    let _ = log::set_logger(&Lines);
    log::set_max_level(LevelFilter::Info);
}

/// The recorded lines that contain the text.
pub(super) fn with(text: &str) -> Vec<String> {
    LINES.with(|lines| {
        let lines = lines.borrow();
        lines
            .iter()
            .filter(|line| line.contains(text))
            .cloned()
            .collect()
    })
}
