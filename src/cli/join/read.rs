//! Reads both logs at the same time, each in a thread of its own, and shows how far they are.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use indicatif::ProgressBar;

use super::fields::Fields;
use super::lines::{Line, Lines};
use super::options::Options;
use super::outcome::Log;
use super::record::{Broken, Record};
use crate::cli::CommandError;
use crate::cli::progress::progress_bar;

/// How much of a log is read at once, in bytes: small enough for the processor's cache.
const BUFFER: usize = 64 * 1024;

/// Both logs, open.
pub(super) struct Logs {
    edge: OpenLog,
    mesh: OpenLog,
    progress: ProgressBar,
}

/// A log, open.
pub(super) struct OpenLog {
    path: PathBuf,
    /// `None` for stdin.
    file: Option<File>,
    max_line_bytes: u64,
}

/// The lines of one log while both are read.
pub(super) struct LogLines<'a> {
    log: OpenLog,
    progress: &'a ProgressBar,
    /// Set as soon as the other log cannot be read.
    stop: &'a AtomicBool,
}

impl Logs {
    /// Opens both logs, so that a wrong name is told before the other log is read.
    pub(super) fn open(options: &Options) -> Result<Self, CommandError> {
        let edge = OpenLog::open(options.path(Log::Edge), options)?;
        let mesh = OpenLog::open(options.path(Log::Mesh), options)?;
        let size = edge.size().saturating_add(mesh.size());
        Ok(Self {
            edge,
            mesh,
            progress: progress_bar(size),
        })
    }

    /// Calls `read` for each log, at the same time, and returns both results.
    pub(super) fn read_both<T: Send>(
        self,
        read: impl Fn(Log, LogLines<'_>) -> Result<T, CommandError> + Sync,
    ) -> Result<(T, T), CommandError> {
        let (stop, progress) = (&AtomicBool::new(false), &self.progress);
        let read = |log, open| {
            let lines = LogLines {
                log: open,
                progress,
                stop,
            };
            let result = read(log, lines);
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            result
        };
        let (edge, mesh) = thread::scope(|scope| {
            let mesh = thread::Builder::new().spawn_scoped(scope, || read(Log::Mesh, self.mesh))?;
            let edge = read(Log::Edge, self.edge);
            match mesh.join() {
                Ok(mesh) => Ok((edge, mesh)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
        .map_err(CommandError::Temporary)?;
        self.progress.finish_and_clear();
        Ok((edge?, mesh?))
    }
}

impl OpenLog {
    fn open(path: &Path, options: &Options) -> Result<Self, CommandError> {
        let failed = |error| CommandError::Input {
            path: path.to_owned(),
            error,
        };
        let file = if path == "-" {
            None
        } else {
            let file = File::open(path).map_err(failed)?;
            if file.metadata().map_err(failed)?.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            Some(file)
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            max_line_bytes: options.max_line_bytes(),
        })
    }

    /// The size of a regular file; 0 for all else.
    fn size(&self) -> u64 {
        let metadata = self.file.as_ref().and_then(|file| file.metadata().ok());
        metadata
            .filter(std::fs::Metadata::is_file)
            .map_or(0, |metadata| metadata.len())
    }
}

impl LogLines<'_> {
    /// Calls `each` for each line that is not blank, with its number.
    pub(super) fn each(
        self,
        fields: &Fields,
        mut each: impl FnMut(u64, Result<Record<'_>, Broken>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let OpenLog {
            path,
            file,
            max_line_bytes,
        } = self.log;
        let failed = |error| CommandError::Input {
            path: path.clone(),
            error,
        };
        let counted = file.as_ref().map(|_| self.progress);
        let input: Box<dyn Read> = match file {
            Some(file) => Box::new(file),
            None => Box::new(io::stdin().lock()),
        };
        let input = BufReader::with_capacity(BUFFER, Counted { input, counted });
        let mut lines = Lines::new(input, max_line_bytes);
        while let Some((number, line)) = lines.next().map_err(failed)? {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let record = match line {
                Line::Text(text) => Record::parse(text, fields),
                Line::TooLong => Err(Broken::TooLong),
            };
            each(number, record)?;
        }
        Ok(())
    }
}

/// Tells the progress bar how much was read.
struct Counted<'a, R> {
    input: R,
    counted: Option<&'a ProgressBar>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        if let Some(progress) = self.counted {
            progress.inc(u64::try_from(read).unwrap_or_default());
        }
        Ok(read)
    }
}
