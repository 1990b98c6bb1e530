//! The arguments of `edge-claims join`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::summary::Kind;

/// Join the edge's log and the mesh's access log by correlation ID.
///
/// Prints how many requests are in both logs, in one only or repeated, and where requests ended: at
/// the edge, in the filter (by deny reason), upstream. With --id, what both logs say about one request,
/// in the order of time.
///
/// Both logs hold one JSON object a line. Text before a line's first `{` (the stamp of a container
/// runtime, say) is passed over. Lines that are no JSON are counted, and never stop the join.
///
/// Logs may be larger than memory: the ID and the outcome of each line go to temporary files, about 50
/// bytes a line, and are joined part by part.
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
    /// List the requests of one kind instead of the summary, in no order
    #[arg(long, value_name = "KIND", value_enum)]
    pub list: Option<List>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Exit with 1 unless every request that the edge forwarded is in the mesh's log exactly once, the
    /// mesh has no other, and no line is broken or without an ID
    #[arg(long)]
    pub strict: bool,
    /// Folder for temporary files, if not the system's
    #[arg(long, value_name = "DIR")]
    pub temp_dir: Option<PathBuf>,
    /// The longest line that is read, in KiB; longer ones count as broken
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

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Text for a terminal
    Table,
    /// One JSON object a line
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
    pub(super) fn has(self, kind: Kind) -> bool {
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

/// Where the edge's log has what. A name with dots is also looked up member by member.
#[derive(Debug, Args)]
#[command(next_help_heading = "Fields of the edge's log (a.b finds b in a)")]
pub(in crate::cli) struct EdgeFields {
    /// Correlation ID
    #[arg(long, value_name = "FIELD", default_value = "correlation_id")]
    pub edge_id: String,
    /// Arrival, RFC 3339 or seconds since 1970
    #[arg(long, value_name = "FIELD", default_value = "time")]
    pub edge_time: String,
    /// What the edge did
    #[arg(long, value_name = "FIELD", default_value = "outcome")]
    pub edge_outcome: String,
    /// The value of the outcome that means: sent on to the mesh
    #[arg(long, value_name = "VALUE", default_value = "forwarded")]
    pub edge_forwarded: String,
    /// Why
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
    /// Duration in milliseconds
    #[arg(long, value_name = "FIELD", default_value = "duration_ms")]
    pub edge_duration: String,
}

/// Where the mesh's access log has what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Fields of the mesh's access log")]
pub(in crate::cli) struct MeshFields {
    /// Correlation ID
    #[arg(long, value_name = "FIELD", default_value = "correlation_id")]
    pub mesh_id: String,
    /// Arrival, RFC 3339 or seconds since 1970
    #[arg(long, value_name = "FIELD", default_value = "start_time")]
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
    /// The upstream's own status, where the log has it; else `details` tells
    #[arg(long, value_name = "FIELD", default_value = "upstream_status")]
    pub mesh_upstream_status: String,
    /// Method
    #[arg(long, value_name = "FIELD", default_value = "method")]
    pub mesh_method: String,
    /// Path
    #[arg(long, value_name = "FIELD", default_value = "path")]
    pub mesh_path: String,
    /// Duration in milliseconds
    #[arg(long, value_name = "FIELD", default_value = "duration_ms")]
    pub mesh_duration: String,
    /// The mesh's own request ID
    #[arg(long, value_name = "FIELD", default_value = "request_id")]
    pub mesh_request_id: String,
}

impl Options {
    /// The longest line, in bytes.
    pub(super) fn max_line_bytes(&self) -> usize {
        usize::try_from(self.max_line_kib).map_or(usize::MAX, |kib| kib.saturating_mul(1024))
    }
}
