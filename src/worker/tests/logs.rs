//! The log lines of a test. Each test runs on a thread of its own.

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

/// Keeps what is logged from now on.
pub(super) fn install() {
    // It fails if it is installed already.
    let _ = log::set_logger(&Lines);
    log::set_max_level(LevelFilter::Info);
}

/// The lines so far that contain the text.
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
