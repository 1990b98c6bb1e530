//! Reads the logs of all hops at the same time, each hop in a thread of its own, and shows how far they are.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use indicatif::ProgressBar;

use super::fields::{Fields, OLD_TIME};
use super::lines::{Line, Lines};
use super::options::{Input, Options};
use super::outcome::{Hop, Log};
use super::record::{Broken, Record};
use crate::cli::CommandError;
use crate::cli::progress::progress_bar;
use crate::json::Json;

/// How much of a log is read at once, in bytes: small enough for the processor's cache.
const BUFFER: usize = 64 * 1024;

/// All logs, open.
pub(super) struct Logs {
    hops: Vec<OpenHop>,
    progress: ProgressBar,
}

/// The logs of one hop, open.
struct OpenHop {
    hop: Hop,
    logs: Vec<OpenLog>,
    /// The name of the time, where a log may have the name of earlier versions instead.
    time: Option<String>,
}

/// A log, open.
struct OpenLog {
    path: PathBuf,
    /// `None` for stdin.
    file: Option<File>,
    max_line_bytes: u64,
}

/// The lines of one hop's logs while all are read.
pub(super) struct HopLines<'a> {
    logs: Vec<OpenLog>,
    time: Option<String>,
    progress: &'a ProgressBar,
    /// Set as soon as a log of another hop cannot be read.
    stop: &'a AtomicBool,
}

impl Logs {
    /// Opens all logs, so that a wrong name is told before the others are read.
    pub(super) fn open(inputs: &[Input], options: &Options) -> Result<Self, CommandError> {
        let mut hops = Vec::new();
        let mut size = 0_u64;
        for same_hop in inputs.chunk_by(|one, other| one.log == other.log) {
            let Some(log) = same_hop.first().map(|input| input.log) else {
                continue;
            };
            let next = inputs
                .iter()
                .map(|input| input.log)
                .find(|next| *next > log);
            let logs = same_hop.iter().map(|input| OpenLog::open(input, options));
            let logs = logs.collect::<Result<Vec<_>, _>>()?;
            size = logs
                .iter()
                .map(OpenLog::size)
                .fold(size, u64::saturating_add);
            hops.push(OpenHop {
                hop: options.hop(log, next),
                logs,
                time: options.time_that_was_renamed(log),
            });
        }
        Ok(Self {
            hops,
            progress: progress_bar(size),
        })
    }

    /// Calls `read` for each hop, at the same time, and returns the results in the order of a request's way.
    pub(super) fn read_all<T: Send>(
        self,
        read: impl Fn(&Hop, HopLines<'_>) -> Result<T, CommandError> + Sync,
    ) -> Result<Vec<(Log, T)>, CommandError> {
        let (stop, progress, read) = (&AtomicBool::new(false), &self.progress, &read);
        let read_hop = |open: OpenHop| {
            let lines = HopLines {
                logs: open.logs,
                time: open.time,
                progress,
                stop,
            };
            let result = read(&open.hop, lines);
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            (open.hop.log, result)
        };
        let results = thread::scope(|scope| {
            let threads: Vec<_> = self
                .hops
                .into_iter()
                .map(|open| thread::Builder::new().spawn_scoped(scope, move || read_hop(open)))
                .collect::<Result<_, _>>()?;
            let joined = threads.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            Ok(joined.collect::<Vec<_>>())
        });
        self.progress.finish_and_clear();
        let results = results.map_err(CommandError::Temporary)?;
        results
            .into_iter()
            .map(|(log, result)| Ok((log, result?)))
            .collect()
    }
}

impl OpenLog {
    fn open(input: &Input, options: &Options) -> Result<Self, CommandError> {
        let path = &input.path;
        let failed = |error| CommandError::Input {
            path: path.clone(),
            error,
        };
        let file = if path.as_os_str() == "-" {
            None
        } else {
            let file = File::open(path).map_err(failed)?;
            if file.metadata().map_err(failed)?.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            Some(file)
        };
        Ok(Self {
            path: path.clone(),
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

impl HopLines<'_> {
    /// The number of logs.
    pub(super) const fn files(&self) -> usize {
        self.logs.len()
    }

    /// Calls `each` for each line that is not blank, with the number of its log and its own number.
    pub(super) fn each(
        self,
        fields: &Fields,
        mut each: impl FnMut(usize, u64, Result<Record<'_>, Broken>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        for (index, log) in self.logs.into_iter().enumerate() {
            let OpenLog {
                path,
                file,
                max_line_bytes,
            } = log;
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
            let mut is_checked = false;
            while let Some((number, line)) = lines.next().map_err(failed)? {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let record = match line {
                    Line::Text(text) => Record::parse(text, fields),
                    Line::TooLong => Err(Broken::TooLong),
                };
                if !is_checked && let (Ok(record), Some(time)) = (&record, &self.time) {
                    is_checked = true;
                    if has_old_time(record.text, time) {
                        let path = path.display();
                        return Err(CommandError::Usage(format!(
                            "{path}: line {number} has no `{time}`, but `{OLD_TIME}`, as access logs of earlier versions; add --fields old"
                        )));
                    }
                }
                each(index, number, record)?;
            }
        }
        Ok(())
    }
}

/// Whether a line has the time of earlier versions instead of this one.
fn has_old_time(text: &str, time: &str) -> bool {
    let line = serde_json::from_str(text).unwrap_or(Json::Null);
    let members = line.as_object();
    members.is_some_and(|members| members.get(time).is_none() && members.get(OLD_TIME).is_some())
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
