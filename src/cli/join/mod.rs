//! `edge-claims join`: the edge's log and the mesh's access log, joined by correlation ID.
//!
//! Logs may be larger than memory. Each is read once; of each line only the ID and what became of the
//! request are kept, spread by a hash of the ID over 64 buckets that overflow into temporary files
//! ([`spill`]). Then bucket after bucket is joined in memory, and a bucket that is still too large is
//! spread again. So memory is bounded, and the temporary files take about 50 bytes a line.

mod event;
mod fields;
mod lines;
mod options;
mod print;
mod spill;
mod summary;
mod timeline;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

pub(super) use options::Options;

use self::event::{Reader, Side};
use self::fields::Record;
use self::lines::{Line, Lines};
use self::spill::{Bucket, Spill};
use self::summary::{Input, Join, Kind};
use super::Answer;

/// How large a bucket may be to be joined in memory, in bytes; in memory it takes two to three times that.
const BUCKET_BYTES: u64 = 24 * 1024 * 1024;

/// Why logs cannot be joined.
#[derive(Debug, thiserror::Error)]
pub(super) enum JoinError {
    /// A log cannot be opened or read.
    #[error("{}: {error}", path.display())]
    Input {
        /// The file, `-` for stdin.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Both logs are stdin.
    #[error("only one of the two logs can be `-`, stdin")]
    TwoStdin,
    /// The temporary files cannot be written or read.
    #[error("temporary files: {0} (choose another folder with --temp-dir)")]
    Temporary(io::Error),
    /// The result cannot be written.
    #[error("cannot write: {0}")]
    Output(io::Error),
}

/// Joins two logs, or shows one ID's timeline.
///
/// # Errors
/// [`JoinError`].
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, JoinError> {
    if options.edge.as_os_str() == "-" && options.mesh.as_os_str() == "-" {
        return Err(JoinError::TwoStdin);
    }
    match &options.id {
        Some(id) => run_timeline(options, id, output),
        None => run_join(options, output),
    }
}

fn run_timeline(options: &Options, id: &str, output: &mut impl Write) -> Result<Answer, JoinError> {
    let mut timeline = timeline::Timeline::new(id, options);
    for side in Side::BOTH {
        read(options, side, |number, record| {
            if let Ok(record) = record {
                timeline.add(side, number, &record);
            }
            Ok(())
        })?;
    }
    let found = timeline.finish();
    print::timeline(&found, options.format, output).map_err(JoinError::Output)?;
    Ok(if found.events.is_empty() {
        Answer::No
    } else {
        Answer::Yes
    })
}

fn run_join(options: &Options, output: &mut impl Write) -> Result<Answer, JoinError> {
    let folder = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let mut join = Join::default();
    let mut spill = Spill::new(&folder);
    let reader = Reader::new(options);
    for side in Side::BOTH {
        let mut input = Input::default();
        read(options, side, |number, record| {
            match record.and_then(|record| reader.read(side, record)) {
                Ok(Some(event)) => {
                    input.with_id = input.with_id.saturating_add(1);
                    let entry = join.entry(side, &event);
                    spill.push(&event.id, entry).map_err(JoinError::Temporary)?;
                }
                Ok(None) => input.without_id = input.without_id.saturating_add(1),
                Err(broken) => input.note_broken(number, broken),
            }
            Ok(())
        })?;
        join.inputs.push((side, input));
    }
    let listed = options.list;
    if listed.is_some() {
        print::list_header(options.format, output).map_err(JoinError::Output)?;
    }
    for bucket in spill.finish().map_err(JoinError::Temporary)? {
        join_bucket(
            &mut join,
            bucket,
            &folder,
            &mut |id, kind, end| match listed {
                Some(list) if list.has(kind) => {
                    print::listed(id, kind, end, options.format, output).map_err(JoinError::Output)
                }
                _ => Ok(()),
            },
        )?;
    }
    if listed.is_none() {
        print::summary(&join, options, output).map_err(JoinError::Output)?;
    }
    Ok(if options.strict && !join.adds_up() {
        Answer::No
    } else {
        Answer::Yes
    })
}

/// Joins a bucket in memory, or spreads it over smaller ones first.
fn join_bucket(
    join: &mut Join,
    bucket: Bucket,
    folder: &Path,
    each: &mut impl FnMut(&str, Kind, &str) -> Result<(), JoinError>,
) -> Result<(), JoinError> {
    if bucket.len() <= BUCKET_BYTES || !bucket.can_spread() {
        return join.add(bucket, each);
    }
    let mut spill = Spill::below(&bucket, folder);
    bucket
        .read(|id, entry| spill.push(id, entry))
        .map_err(JoinError::Temporary)?;
    for smaller in spill.finish().map_err(JoinError::Temporary)? {
        join_bucket(join, smaller, folder, each)?;
    }
    Ok(())
}

/// Reads one log, line by line.
fn read(
    options: &Options,
    side: Side,
    mut each: impl FnMut(u64, Result<Record<'_>, fields::Broken>) -> Result<(), JoinError>,
) -> Result<(), JoinError> {
    let path = match side {
        Side::Edge => &options.edge,
        Side::Mesh => &options.mesh,
    };
    let failed = |error| JoinError::Input {
        path: path.clone(),
        error,
    };
    let input: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    let mut lines = Lines::new(
        BufReader::with_capacity(256 * 1024, input),
        options.max_line_bytes(),
    );
    while let Some((number, line)) = lines.next().map_err(failed)? {
        let record = match line {
            Line::Text(text) => Record::parse(text),
            Line::TooLong => Err(fields::Broken::TooLong),
        };
        each(number, record)?;
    }
    Ok(())
}
