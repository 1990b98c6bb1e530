//! The arguments of `edge-claims join`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::fields::{Field, Fields, OLD_TIME, Renamed};
use super::outcome::{Hop, Log};
use super::summary::Kind;
use crate::cli::CommandError;

/// Join the logs of all hops by correlation ID.
///
/// Prints how many requests are in the logs of all hops, which logs lack some, where requests ended
/// (at the edge, in HAProxy, in the filter by deny reason, upstream), and how long they took in each
/// part of the way. With --id, prints what all logs say about one request, in the order of time.
///
/// The hops are edge, haproxy, mesh and app, in this order on a request's way. A hop can be left out, and
/// can have several logs. Two files without --log are those of the edge and of the mesh.
///
/// The logs hold one JSON object per line, with the fields of docs/log-fields.md. Text before a line's
/// first `{` (such as the prefix of a container runtime) is ignored. Lines that are not JSON are counted and
/// do not stop the join; so are the app's lines without a status, which are not about a whole request.
///
/// A field of a duration is in the unit that its name ends with: _ns, _us, _ms or _s; in milliseconds
/// without any. A time that the logs do not tell is shown as `-`.
///
/// Logs may be larger than memory: the ID, the outcome and the times of each line go to temporary files,
/// about 60 bytes per line, and are joined part by part.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The edge's log; `-` for stdin
    #[arg(
        value_name = "EDGE.log",
        required_unless_present = "logs",
        conflicts_with = "logs",
        requires = "mesh"
    )]
    edge: Option<PathBuf>,
    /// The mesh's access log; `-` for stdin
    #[arg(value_name = "MESH.log", required_unless_present = "logs")]
    mesh: Option<PathBuf>,
    /// A log and its hop: edge, haproxy, mesh or app; `-` for stdin. Once for each log
    #[arg(long = "log", id = "logs", value_name = "HOP=FILE", value_parser = Input::parse)]
    logs: Vec<Input>,
    /// Show the timeline of this correlation ID instead of the summary
    #[arg(long, value_name = "ID", conflicts_with_all = ["list", "strict"])]
    pub id: Option<String>,
    /// List the requests of one kind instead of the summary, in no particular order
    #[arg(long, value_name = "KIND", value_enum)]
    pub list: Option<List>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Exit with 1 unless every request is exactly once in the log of each hop that it reached, or as
    /// often as the hop before says that it tried, and no line is broken or without an ID
    #[arg(long)]
    pub strict: bool,
    /// Folder for temporary files, if not the system's
    #[arg(long, value_name = "DIR")]
    pub temp_dir: Option<PathBuf>,
    /// The longest line that is read, in KiB; longer lines count as broken
    #[arg(long, value_name = "KIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub max_line_kib: u32,
    /// Another name of a field: edge.id=cid, mesh.time=labels.at (the member `labels.at`, else `at` of
    /// `labels`). A wrong name prints those that exist
    #[arg(long = "field", value_name = "HOP.FIELD=NAME", value_parser = Renamed::parse)]
    pub renamed: Vec<Renamed>,
    /// The names of the fields: those of docs/log-fields.md, or of access logs of earlier versions
    #[arg(long, value_enum, default_value_t = Names::Current)]
    pub fields: Names,
    /// The outcome of a request that the edge or HAProxy forwarded
    #[arg(long, value_name = "VALUE", default_value = "forwarded")]
    pub forwarded: String,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims join edge.log mesh.log
  edge-claims join --log edge=edge.log --log haproxy=haproxy.log --log mesh=mesh.log --log app=app.log
  edge-claims join edge.log mesh.log --id 01986f3c-3b1a-7c55-9f0e-2f0f3f6f1a11
  edge-claims join edge.log mesh.log --list lost --format jsonl
  kubectl logs -n istio-ingress deploy/gateway | edge-claims join edge.log - --strict

Exit codes:
  0  done
  1  --id is in no log, or --strict and the logs do not add up
  2  wrong usage, or a file cannot be read or written";

/// A log and its hop.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Input {
    pub(super) log: Log,
    /// `-` for stdin.
    pub(super) path: PathBuf,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Text for a terminal
    Table,
    /// One JSON object per line
    Jsonl,
}

/// The names of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Names {
    /// Those of docs/log-fields.md
    Current,
    /// `start_time` in the mesh's log
    Old,
}

/// Which requests to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum List {
    /// In the logs of all hops that they reached
    Joined,
    /// Ended at the first hop
    Edge,
    /// Forwarded, and not in the next hop's log
    Lost,
    /// In the log of a hop, and not in that of one before
    MeshOnly,
    /// More often in one log than there were attempts
    Repeated,
    /// All
    All,
}

impl List {
    pub(super) fn includes(self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Joined => kind == Kind::Joined,
            Self::Edge => kind == Kind::EndedAtEdge,
            Self::Lost => kind == Kind::Lost,
            Self::MeshOnly => kind == Kind::MeshOnly,
            Self::Repeated => kind == Kind::Repeated,
        }
    }
}

impl Input {
    /// Parses `HOP=FILE`.
    fn parse(text: &str) -> Result<Self, String> {
        let (log, path) = text.split_once('=').ok_or("write HOP=FILE")?;
        if path.is_empty() {
            return Err("write HOP=FILE".to_owned());
        }
        Ok(Self {
            log: Log::parse(log)?,
            path: path.into(),
        })
    }
}

impl Options {
    /// The logs in the order of a request's way.
    ///
    /// # Errors
    /// [`CommandError::Usage`] if there are not two hops at least, or if stdin would be read twice.
    pub(super) fn inputs(&self) -> Result<Vec<Input>, CommandError> {
        let of = |log, path: &Option<PathBuf>| {
            Some(Input {
                log,
                path: path.clone()?,
            })
        };
        let files = [of(Log::Edge, &self.edge), of(Log::Mesh, &self.mesh)];
        let mut inputs: Vec<Input> = files.into_iter().flatten().collect();
        inputs.extend(self.logs.iter().cloned());
        inputs.sort_by_key(|input| input.log);
        let usage = |text: &str| Err(CommandError::Usage(text.to_owned()));
        if inputs
            .iter()
            .filter(|input| input.path.as_os_str() == "-")
            .count()
            > 1
        {
            return usage("only one of the logs can be `-`, stdin");
        }
        let first = inputs.first().map(|input| input.log);
        if inputs.iter().all(|input| Some(input.log) == first) {
            return usage(
                "a join needs the logs of two hops at least; the hops are edge, haproxy, mesh, app",
            );
        }
        Ok(inputs)
    }

    /// The fields of a log. Those that only a timeline shows are not read for a summary.
    pub(super) fn fields(&self, log: Log) -> Fields {
        let is_used = |field: Field| match field {
            _ if self.id.is_some() => true,
            Field::Time | Field::Method | Field::Path => false,
            Field::Duration => log != Log::Mesh,
            _ => true,
        };
        Fields::of(log, &self.all_renamed(), is_used)
    }

    /// The name of the time in a log, where earlier versions had another.
    pub(super) fn time_that_was_renamed(&self, log: Log) -> Option<String> {
        let time = Fields::of(log, &self.all_renamed(), |field| field == Field::Time);
        let name = time.name(Field::Time)?;
        (log == Log::Mesh && name != OLD_TIME).then(|| name.to_owned())
    }

    /// The new names of the options, and before them those of earlier versions, if they are asked for.
    fn all_renamed(&self) -> Vec<Renamed> {
        let old = (self.fields == Names::Old).then(Renamed::old_time);
        old.into_iter()
            .chain(self.renamed.iter().cloned())
            .collect()
    }

    /// What the outcome of a line depends on, beside the line. `next` is the next hop that has a log.
    pub(super) fn hop(&self, log: Log, next: Option<Log>) -> Hop {
        Hop::new(log, next, &self.forwarded)
    }

    /// The longest line, in bytes.
    pub(super) fn max_line_bytes(&self) -> u64 {
        u64::from(self.max_line_kib).saturating_mul(1024)
    }
}
