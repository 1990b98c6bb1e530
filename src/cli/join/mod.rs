//! `edge-claims join`: joins the edge's log and the mesh's access log by correlation ID.
//!
//! Logs may be larger than memory. Each is read once, both at the same time; the ID, the outcome and the times of
//! each line (about 60 bytes) are partitioned by a hash of the ID into 256 buckets that overflow into temporary
//! files ([`spill`]). Then the buckets are joined in memory, one after the other.

mod fields;
mod latency;
pub(super) mod lines;
mod options;
mod outcome;
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

use self::outcome::Log;
use self::read::Logs;
use self::summary::{Half, Join};
use self::timeline::Timeline;
use self::times::Resolution;
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
    let forwarded = &options.edge_fields.edge_forwarded;
    let (edge, mesh) = Logs::open(options)?.read_both(|log, lines| {
        let mut found = Timeline::new(id);
        let fields = options.fields(log);
        lines.each(&fields, |number, record| {
            if let Ok(record) = record {
                found.add(log, number, &record, &fields, forwarded);
            }
            Ok(())
        })?;
        Ok(found)
    })?;
    let timeline = edge.and(mesh);
    let parts = timeline.parts(Resolution::new(options));
    print::timeline(&timeline, &parts, options.format, output)?;
    Ok(if timeline.lines.is_empty() {
        Answer::No
    } else {
        Answer::Yes
    })
}

fn run_join(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let hasher = RandomState::new();
    let (edge, mesh) =
        Logs::open(options)?.read_both(|log, lines| Half::read(log, lines, options, &hasher))?;
    if options.list.is_some() {
        print::list_header(options.format, output)?;
    }
    let resolution = Resolution::new(options);
    let join = Join::new(edge, mesh, resolution, |request| match options.list {
        Some(list) if list.includes(request.kind) => {
            Ok(print::listed(request, options.format, output)?)
        }
        _ => Ok(()),
    })?;
    if options.list.is_none() {
        print::summary(&join, options, output)?;
    }
    Ok(if options.strict && !join.adds_up() {
        Answer::No
    } else {
        Answer::Yes
    })
}
