//! Runs again whenever a file changes.

use std::fs;
use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use crate::cli::{Answer, CommandError};

/// How often the files are looked at. Changes are rare, so this needs no notification service.
const PERIOD: Duration = Duration::from_millis(300);

/// Runs now and after each change, until the process is stopped or the output closed.
pub(super) fn run<W: Write>(
    files: &[PathBuf],
    output: &mut W,
    mut run_once: impl FnMut(&mut W) -> Result<Answer, CommandError>,
) -> Result<Answer, CommandError> {
    let mut seen = None;
    loop {
        let now = state(files);
        if seen.as_ref() != Some(&now) {
            seen = Some(now);
            if stdout().is_terminal() {
                // ECMA-48: clear the screen, cursor to the beginning.
                write!(output, "\x1b[2J\x1b[H")?;
            }
            match run_once(output) {
                Ok(_) => {}
                Err(CommandError::Output(error)) => return Err(error.into()),
                // An editor may be writing the file.
                Err(error) => writeln!(output, "edge-claims: {error}")?,
            }
            writeln!(output, "waiting for changes; Ctrl-C ends")?;
            output.flush()?;
        }
        sleep(PERIOD);
    }
}

/// The time of the last change and the size of each file.
fn state(files: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let of = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(of).collect()
}
