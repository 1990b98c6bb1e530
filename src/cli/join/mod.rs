//! `edge-claims join`: joins the logs of all hops by correlation ID.
//!
//! Logs may be larger than memory. Each is read once, those of all hops at the same time; the ID, the outcome and
//! the times of each line (about 60 bytes) are partitioned by a hash of the ID into 256 buckets that overflow into
//! a temporary file for each hop ([`spill`]). Then the buckets are joined in memory, one after the other.

mod fields;
mod half;
mod latency;
pub(super) mod lines;
mod options;
mod outcome;
mod parts;
mod print;
mod print_times;
mod read;
mod record;
mod spill;
mod summary;
mod timeline;
mod times;

use std::hash::RandomState;
use std::io::Write;

pub(super) use options::Options;

use self::half::Half;
use self::options::Input;
use self::parts::Resolution;
use self::read::Logs;
use self::summary::Join;
use self::timeline::Timeline;
use super::{Answer, CommandError};

/// Joins the logs, or prints the timeline of one ID.
///
/// # Errors
/// A [`CommandError`].
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let inputs = options.inputs()?;
    match &options.id {
        Some(id) => run_timeline(options, &inputs, id, output),
        None => run_join(options, &inputs, output),
    }
}

fn run_timeline(
    options: &Options,
    inputs: &[Input],
    id: &str,
    output: &mut impl Write,
) -> Result<Answer, CommandError> {
    let found = Logs::open(inputs, options)?.read_all(|hop, lines| {
        let mut found = Timeline::new(id);
        let fields = options.fields(hop.log);
        lines.each(&fields, |file, number, record| {
            if let Ok(record) = record {
                found.add(hop, (file, number), &record, &fields);
            }
            Ok(())
        })?;
        Ok(found)
    })?;
    let found = found.into_iter().map(|(_, timeline)| timeline);
    let timeline = found.fold(Timeline::new(id), Timeline::and);
    let parts = timeline.parts(Resolution::new(options));
    print::timeline(&timeline, &parts, inputs, options.format, output)?;
    Ok(if timeline.lines.is_empty() {
        Answer::No
    } else {
        Answer::Yes
    })
}

fn run_join(
    options: &Options,
    inputs: &[Input],
    output: &mut impl Write,
) -> Result<Answer, CommandError> {
    let hasher = RandomState::new();
    let halves = Logs::open(inputs, options)?
        .read_all(|hop, lines| Half::read(hop, lines, options, &hasher))?;
    if options.list.is_some() {
        print::list_header(options.format, output)?;
    }
    let resolution = Resolution::new(options);
    let join = Join::new(halves, resolution, |request| match options.list {
        Some(list) if list.includes(request.kind) => {
            Ok(print::listed(request, options.format, output)?)
        }
        _ => Ok(()),
    })?;
    if options.list.is_none() {
        print::summary(&join, inputs, options.format, output)?;
    }
    Ok(if options.strict && !join.adds_up() {
        Answer::No
    } else {
        Answer::Yes
    })
}
