//! `edge-claims join`: joins the edge's log and the mesh's access log by correlation ID.
//!
//! Logs may be larger than memory. Each is read once; the ID and the outcome of each line (about 50 bytes) are
//! partitioned by a hash of the ID into 256 buckets that overflow into temporary files ([`spill`]). Then the
//! buckets are joined in memory, one after the other.

mod fields;
pub(super) mod lines;
mod options;
mod outcome;
mod print;
mod spill;
mod summary;
mod timeline;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};

pub(super) use options::Options;

use self::fields::{Broken, Record};
use self::lines::{Line, Lines};
use self::outcome::{Log, Outcome};
use self::spill::Spill;
use self::summary::{Input, Join};
use self::timeline::Timeline;
use super::{Answer, CommandError};

/// Joins two logs, or prints the timeline of one ID.
///
/// # Errors
/// A [`CommandError`].
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    if Log::BOTH.iter().all(|log| options.path(*log) == "-") {
        return Err(CommandError::Usage(
            "only one of the two logs can be `-`, stdin".to_owned(),
        ));
    }
    match &options.id {
        Some(id) => run_timeline(options, id, output),
        None => run_join(options, output),
    }
}

fn run_timeline(
    options: &Options,
    id: &str,
    output: &mut impl Write,
) -> Result<Answer, CommandError> {
    let mut timeline = Timeline::new(id);
    for log in Log::BOTH {
        read(options, log, |number, record| {
            if let Ok(record) = record {
                timeline.add(log, number, &record, options);
            }
            Ok(())
        })?;
    }
    timeline.sort();
    print::timeline(&timeline, options.format, output)?;
    Ok(if timeline.lines.is_empty() {
        Answer::No
    } else {
        Answer::Yes
    })
}

fn run_join(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let folder = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let mut join = Join::default();
    let mut spill = Spill::new(&folder);
    for log in Log::BOTH {
        let mut input = Input::default();
        read(options, log, |number, record| {
            match record.and_then(|record| Outcome::read(log, &record, options)) {
                Ok(Some((id, outcome))) => {
                    input.with_id = input.with_id.saturating_add(1);
                    let index = join.index(outcome);
                    spill.push(&id, index).map_err(CommandError::Temporary)?;
                }
                Ok(None) => input.without_id = input.without_id.saturating_add(1),
                Err(broken) => input.note_broken(number, broken),
            }
            Ok(())
        })?;
        join.inputs.push((log, input));
    }
    if options.list.is_some() {
        print::list_header(options.format, output)?;
    }
    for bucket in spill.finish() {
        join.add(bucket, |id, kind, end| match options.list {
            Some(list) if list.includes(kind) => {
                Ok(print::listed(id, kind, end, options.format, output)?)
            }
            _ => Ok(()),
        })?;
    }
    if options.list.is_none() {
        print::summary(&join, options, output)?;
    }
    Ok(if options.strict && !join.adds_up() {
        Answer::No
    } else {
        Answer::Yes
    })
}

/// Reads one log, line by line.
fn read(
    options: &Options,
    log: Log,
    mut each: impl FnMut(u64, Result<Record<'_>, Broken>) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let path = options.path(log);
    let failed = |error| CommandError::Input {
        path: path.to_owned(),
        error,
    };
    let input: Box<dyn Read> = if path == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    let input = BufReader::with_capacity(256 * 1024, input);
    let mut lines = Lines::new(input, options.max_line_bytes());
    while let Some((number, line)) = lines.next().map_err(failed)? {
        let record = match line {
            Line::Text(text) => Record::parse(text),
            Line::TooLong => Err(Broken::TooLong),
        };
        each(number, record)?;
    }
    Ok(())
}
