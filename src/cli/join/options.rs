//! The arguments of `edge-claims join`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::fields::{Field, Fields};
use super::outcome::Log;
use super::summary::Kind;

/// Join the edge's log and the mesh's access log by correlation ID.
///
/// Prints how many requests are in both logs, in one only or repeated, where requests ended (at the
/// edge, in the filter by deny reason, upstream), and how long they took in each part of the way. With
/// --id, prints what both logs say about one request, in the order of time.
///
/// Both logs hold one JSON object per line. Text before a line's first `{` (such as the prefix of a
/// container runtime) is ignored. Lines that are not JSON are counted and do not stop the join.
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
    #[arg(value_name = "EDGE.log")]
    pub edge: PathBuf,
    /// The mesh's access log; `-` for stdin
    #[arg(value_name = "MESH.log")]
    pub mesh: PathBuf,
    /// Show the timeline of this correlation ID instead of the summary
    #[arg(long, value_name = "ID", conflicts_with_all = ["list", "strict"])]
    pub id: Option<String>,
    /// List the requests of one kind instead of the summary, in no particular order
    #[arg(long, value_name = "KIND", value_enum)]
    pub list: Option<List>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Exit with 1 unless every request that the edge forwarded is in the mesh's log exactly once, the
    /// mesh has no other, and no line is broken or without an ID
    #[arg(long)]
    pub strict: bool,
    /// Folder for temporary files, if not the system's
    #[arg(long, value_name = "DIR")]
    pub temp_dir: Option<PathBuf>,
    /// The longest line that is read, in KiB; longer lines count as broken
    #[arg(long, value_name = "KIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub max_line_kib: u32,
    #[command(flatten)]
    pub edge_fields: EdgeFields,
    #[command(flatten)]
    pub mesh_fields: MeshFields,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims join edge.log mesh.log
  edge-claims join edge.log mesh.log --id 01986f3c-3b1a-7c55-9f0e-2f0f3f6f1a11
  edge-claims join edge.log mesh.log --list lost --format jsonl
  kubectl logs -n istio-ingress deploy/gateway | edge-claims join edge.log - --strict

Exit codes:
  0  done
  1  --id is in neither log, or --strict and the logs do not add up
  2  wrong usage, or a file cannot be read or written";

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Text for a terminal
    Table,
    /// One JSON object per line
    Jsonl,
}

/// Which requests to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum List {
    /// In both logs
    Joined,
    /// Ended at the edge
    Edge,
    /// Forwarded by the edge, not in the mesh's log
    Lost,
    /// In the mesh's log only
    MeshOnly,
    /// More than once in one log
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

/// The names of the fields in the edge's log. `a.b` is the member `a.b`, else the member `b` of `a`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Fields of the edge's log (a.b finds b in a)")]
pub(in crate::cli) struct EdgeFields {
    /// Correlation ID
    #[arg(long, value_name = "FIELD", default_value = "correlation_id")]
    pub edge_id: String,
    /// Arrival, RFC 3339 or seconds since 1970
    #[arg(long, value_name = "FIELD", default_value = "time")]
    pub edge_time: String,
    /// Outcome at the edge
    #[arg(long, value_name = "FIELD", default_value = "outcome")]
    pub edge_outcome: String,
    /// The outcome of a request that the edge forwarded to the mesh
    #[arg(long, value_name = "VALUE", default_value = "forwarded")]
    pub edge_forwarded: String,
    /// Reason of the outcome
    #[arg(long, value_name = "FIELD", default_value = "reason")]
    pub edge_reason: String,
    /// Status
    #[arg(long, value_name = "FIELD", default_value = "status")]
    pub edge_status: String,
    /// Method
    #[arg(long, value_name = "FIELD", default_value = "method")]
    pub edge_method: String,
    /// Path
    #[arg(long, value_name = "FIELD", default_value = "path")]
    pub edge_path: String,
    /// Time from the request to the response's headers
    #[arg(long, value_name = "FIELD", default_value = "duration_ms")]
    pub edge_duration: String,
    /// The edge's own time: the duration without the wait for the mesh
    #[arg(long, value_name = "FIELD", default_value = "edge_us")]
    pub edge_own: String,
    /// The wait for the mesh, until the headers of its response
    #[arg(long, value_name = "FIELD", default_value = "mesh_us")]
    pub edge_wait: String,
}

/// The names of the fields in the mesh's access log.
#[derive(Debug, Args)]
#[command(next_help_heading = "Fields of the mesh's access log")]
pub(in crate::cli) struct MeshFields {
    /// Correlation ID
    #[arg(long, value_name = "FIELD", default_value = "correlation_id")]
    pub mesh_id: String,
    /// Arrival, RFC 3339 or seconds since 1970
    #[arg(long, value_name = "FIELD", default_value = "time")]
    pub mesh_time: String,
    /// The filter's verdict
    #[arg(long, value_name = "FIELD", default_value = "verdict")]
    pub mesh_verdict: String,
    /// %RESPONSE_CODE_DETAILS%
    #[arg(long, value_name = "FIELD", default_value = "details")]
    pub mesh_details: String,
    /// Status
    #[arg(long, value_name = "FIELD", default_value = "status")]
    pub mesh_status: String,
    /// Status of the upstream; without this field it is derived from the details
    #[arg(long, value_name = "FIELD", default_value = "upstream_status")]
    pub mesh_upstream_status: String,
    /// Method
    #[arg(long, value_name = "FIELD", default_value = "method")]
    pub mesh_method: String,
    /// Path
    #[arg(long, value_name = "FIELD", default_value = "path")]
    pub mesh_path: String,
    /// Time from the request to the response's last byte
    #[arg(long, value_name = "FIELD", default_value = "duration_ms")]
    pub mesh_duration: String,
    /// Time from the request's first byte to the start of a new upstream connection; null if it used an old one
    #[arg(long, value_name = "FIELD", default_value = "before_connect_us")]
    pub mesh_before_connect: String,
    /// Time from the request's first byte to its first byte to the upstream
    #[arg(long, value_name = "FIELD", default_value = "before_upstream_us")]
    pub mesh_before_upstream: String,
    /// Time from the first byte to the upstream to the first byte of its response
    #[arg(long, value_name = "FIELD", default_value = "upstream_us")]
    pub mesh_upstream: String,
    /// Time from the request's first byte to the response's
    #[arg(long, value_name = "FIELD", default_value = "response_us")]
    pub mesh_response: String,
    /// How often Envoy sent the request to an upstream
    #[arg(long, value_name = "FIELD", default_value = "attempts")]
    pub mesh_attempts: String,
}

impl EdgeFields {
    fn names(&self) -> [(Field, &str); 10] {
        [
            (Field::Id, &self.edge_id),
            (Field::Time, &self.edge_time),
            (Field::Outcome, &self.edge_outcome),
            (Field::Reason, &self.edge_reason),
            (Field::Status, &self.edge_status),
            (Field::Method, &self.edge_method),
            (Field::Path, &self.edge_path),
            (Field::Duration, &self.edge_duration),
            (Field::OwnTime, &self.edge_own),
            (Field::Wait, &self.edge_wait),
        ]
    }
}

impl MeshFields {
    fn names(&self) -> [(Field, &str); 14] {
        [
            (Field::Id, &self.mesh_id),
            (Field::Time, &self.mesh_time),
            (Field::Outcome, &self.mesh_verdict),
            (Field::Reason, &self.mesh_details),
            (Field::Status, &self.mesh_status),
            (Field::UpstreamStatus, &self.mesh_upstream_status),
            (Field::Method, &self.mesh_method),
            (Field::Path, &self.mesh_path),
            (Field::Duration, &self.mesh_duration),
            (Field::BeforeConnect, &self.mesh_before_connect),
            (Field::BeforeUpstream, &self.mesh_before_upstream),
            (Field::Upstream, &self.mesh_upstream),
            (Field::Response, &self.mesh_response),
            (Field::Attempts, &self.mesh_attempts),
        ]
    }
}

impl Options {
    /// The fields of a log. Those that only a timeline shows are not read for a summary.
    pub(super) fn fields(&self, log: Log) -> Fields {
        let unused = |field: Field| match (log, field) {
            _ if self.id.is_some() => false,
            (_, Field::Time | Field::Method | Field::Path) | (Log::Mesh, Field::Duration) => true,
            _ => false,
        };
        match log {
            Log::Edge => Fields::new(
                self.edge_fields
                    .names()
                    .into_iter()
                    .filter(|(field, _)| !unused(*field)),
            ),
            Log::Mesh => Fields::new(
                self.mesh_fields
                    .names()
                    .into_iter()
                    .filter(|(field, _)| !unused(*field)),
            ),
        }
    }

    /// The file of a log; `-` for stdin.
    pub(super) fn path(&self, log: Log) -> &Path {
        match log {
            Log::Edge => &self.edge,
            Log::Mesh => &self.mesh,
        }
    }

    /// The longest line, in bytes.
    pub(super) fn max_line_bytes(&self) -> u64 {
        u64::from(self.max_line_kib).saturating_mul(1024)
    }
}
