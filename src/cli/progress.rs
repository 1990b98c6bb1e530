//! Progress of long work.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The size of the input, in bytes, from which on the progress is shown.
const SHOW_PROGRESS: u64 = 8 * 1024 * 1024;

/// A progress bar on stderr for large inputs; hidden if stderr is no terminal.
pub(super) fn progress_bar(size: u64) -> ProgressBar {
    if size < SHOW_PROGRESS {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
