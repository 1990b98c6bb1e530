//! The arguments of `edge-claims matrix`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::column::ColumnKind;

/// Show who may use which route: routes × roles, as a table, CSV, JSON or a web page.
///
/// A cell says what the access rules of a route do with a request of which only the column is known, such as a
/// verified token with one role: it is allowed or denied whatever else the request has, or it is allowed under
/// conditions, which are listed. A role has what `rbac.roles.includes` gives it.
///
/// With --compare, each cell also says what changes from an older config. Routes are the same if they have the
/// same name. For a route that only one config has, the other config's column is that of the route which
/// decides about one sample request there.
///
/// A config may be bare JSON or YAML, a WasmPlugin, or part of an Envoy config.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The file with the config; `-` for stdin
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,
    /// Show what changes from this config
    #[arg(long, value_name = "OLD")]
    pub compare: Option<PathBuf>,
    /// With --compare: only the routes and columns that change. The web page can show both
    #[arg(long, requires = "compare")]
    pub changes_only: bool,
    /// What the columns stand for
    #[arg(
        long,
        value_name = "KINDS",
        value_enum,
        value_delimiter = ',',
        default_value = "roles"
    )]
    pub columns: Vec<ColumnKind>,
    /// Which config, if the file has several: a part of its title
    #[arg(long, value_name = "TITLE")]
    pub select: Option<String>,
    /// The same for OLD
    #[arg(long, value_name = "TITLE", requires = "compare")]
    pub select_old: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Write to this file, which is replaced only when the output is complete
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims matrix policy.yaml
  edge-claims matrix policy.yaml --format html --out matrix.html
  edge-claims matrix policy.yaml --columns roles,scopes,peers,issuers --format csv
  git show main:policy.yaml | edge-claims matrix policy.yaml --compare - --changes-only

Exit codes:
  0  done
  2  wrong usage, a file cannot be read or written, or the config has errors";

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Text for a terminal
    Table,
    /// One line per route, for spreadsheets (RFC 4180)
    Csv,
    /// One JSON object
    Json,
    /// One web page that needs no network
    Html,
}
