//! `edge-claims check`: loads configs as the filter does, runs their tests, and warns of what may not be meant.

mod envoy;
mod istio;
mod lints;
pub(super) mod rules;
mod silence;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;

use self::envoy::RouteTable;
use self::istio::Mesh;
use self::silence::Silence;
use super::diagnostic::{self, Diagnostic, Format, Hidden, Severity, Summary, count};
use super::source::{self, FoundConfig, Source, SourceError};
use super::{Answer, CommandError, clock};
use crate::config::Config;
use crate::json::Json;

/// Check configs before the filter loads them.
///
/// Reads plugin configs wherever they are: alone (JSON or YAML), in a WasmPlugin, a TrafficExtension or an
/// EnvoyExtensionPolicy, in an Envoy bootstrap, listener or config_dump. Reports every error that the filter
/// would report, with file, line and column; runs the tests in the config; and warns of rules that may not mean
/// what their author wants.
///
/// YAML is read as kubectl reads it: `on`, `yes` and `n` are booleans, also as keys.
///
/// To silence a warning, name its rule with --allow, or write `# edge-claims: allow(RULE)` in the YAML, on the
/// same line or on the line above.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Files to check; `-` for stdin
    #[arg(value_name = "CONFIG", required_unless_present = "list_rules")]
    configs: Vec<PathBuf>,
    /// Envoy's config with its own routes (bootstrap, listener, route configuration or config_dump): compare them
    /// with those of each config
    #[arg(long, value_name = "ENVOY.yaml")]
    envoy: Option<PathBuf>,
    /// Objects of the mesh, as `kubectl get -o yaml` prints them (Sidecar, ServiceEntry, Service, Gateway, EnvoyFilter,
    /// Deployment of istiod, and the other plugins): compare them with the resource of each config
    #[arg(long, value_name = "OBJECTS.yaml", num_args = 1..)]
    istio: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Do not report this rule; may be given several times, or as a list with commas
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = parse_rule)]
    allow: Vec<&'static str>,
    /// Treat this rule as an error; `warnings` for all of them
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = parse_rule_or_all)]
    deny: Vec<&'static str>,
    /// The time for rules about time, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    now: Option<u64>,
    /// List the rules and what they find
    #[arg(long)]
    list_rules: bool,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims check config.yaml
  kubectl kustomize istio/kustomize/overlays/gateway | edge-claims check - --deny warnings
  kubectl get wasmplugins,trafficextensions -A -o yaml | edge-claims check -
  edge-claims check envoy.yaml --allow no_max_lifetime,forwarded_token
  edge-claims check config.yaml --envoy envoy.yaml
  edge-claims check plugin.yaml --istio sidecars.yaml serviceentries.yaml
  edge-claims check config.yaml --format sarif > results.sarif

Exit codes:
  0  no errors
  1  a config has errors: the filter would refuse it, or --deny is given and a rule is broken
  2  wrong usage, or a file cannot be read";

const ALL_WARNINGS: &str = "warnings";

fn parse_rule(name: &str) -> Result<&'static str, String> {
    rules::lint(name)
        .map(|rule| rule.name)
        .ok_or_else(|| "not a rule; --list-rules lists them".to_owned())
}

fn parse_rule_or_all(name: &str) -> Result<&'static str, String> {
    if name == ALL_WARNINGS {
        return Ok(ALL_WARNINGS);
    }
    parse_rule(name)
}

/// Checks configs.
///
/// # Errors
/// A [`CommandError`] if a file cannot be read.
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    if options.list_rules {
        for rule in &rules::LINTS {
            writeln!(output, "{}: {}\n    {}", rule.name, rule.summary, rule.help)?;
        }
        return Ok(Answer::Yes);
    }
    let sources = options.configs.iter().map(|path| source::read(path));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let now = options.now.unwrap_or_else(clock::now);
    let mut checked = Checked {
        envoy: options.envoy.as_deref().map(envoy_routes).transpose()?,
        ..Checked::default()
    };
    let mut mesh = Mesh::default();
    for path in &options.istio {
        let source = source::read(path)?;
        mesh.add(&source::documents(&source)?);
    }
    if !options.istio.is_empty() && mesh.is_empty() {
        return Err(CommandError::Content {
            name: "--istio".to_owned(),
            problem: "no Kubernetes object in these files".to_owned(),
        });
    }
    let mut loaded = Vec::new();
    for source in &sources {
        let documents = source::documents(source);
        if let (Ok(documents), false) = (&documents, options.istio.is_empty()) {
            mesh.add(documents);
        }
        loaded.push((source, documents));
    }
    checked.mesh = mesh;
    for (source, documents) in loaded {
        let found = documents.and_then(|all| source::configs_in(all, source));
        match found {
            Ok(configs) => configs.iter().for_each(|config| checked.check(config, now)),
            Err(error) => checked.diagnostics.push(syntax(error)),
        }
    }
    let silence = Silence::new(&options.allow);
    checked
        .diagnostics
        .retain(|diagnostic| !silence.covers(diagnostic));
    for diagnostic in &mut checked.diagnostics {
        let denied = |rule: &&str| *rule == diagnostic.rule || *rule == ALL_WARNINGS;
        if options.deny.iter().any(denied) {
            diagnostic.severity = Severity::Error;
        }
    }
    let Checked {
        diagnostics,
        summary,
        ..
    } = checked;
    diagnostic::print(&diagnostics, &summary, options.format, output)?;
    let has_errors = diagnostics.iter().any(|it| it.severity == Severity::Error);
    Ok(if has_errors { Answer::No } else { Answer::Yes })
}

/// What was found so far.
#[derive(Default)]
struct Checked {
    /// Envoy's route tables, and their file.
    envoy: Option<(Vec<RouteTable>, Rc<Source>)>,
    /// The objects of the mesh; empty without `--istio`.
    mesh: Mesh,
    diagnostics: Vec<Diagnostic>,
    summary: Summary,
}

impl Checked {
    fn check(&mut self, found: &FoundConfig, now: u64) {
        if found.is_struct {
            self.diagnostics.push(struct_config(found));
        }
        let content = match found.load() {
            Ok(config) => {
                self.diagnostics.extend(lints::lint(found, &config, now));
                if let Some((tables, source)) = &self.envoy {
                    let warnings = envoy::compare(found, &config, tables, source);
                    self.diagnostics.extend(warnings);
                }
                let warnings = istio::compare(found, &config, &self.mesh);
                self.diagnostics.extend(warnings);
                describe(found, &config)
            }
            Err(errors) => {
                let errors = &errors.0;
                let diagnostics = errors
                    .iter()
                    .map(|error| Diagnostic::of_config(found, error));
                self.diagnostics.extend(diagnostics);
                format!("refused, {}", count(errors.len(), "error"))
            }
        };
        self.summary.configs.push((found.title(), content));
    }
}

/// The route tables of Envoy's config.
fn envoy_routes(path: &Path) -> Result<(Vec<RouteTable>, Rc<Source>), CommandError> {
    let source = source::read(path)?;
    let documents = source::documents(&source)?;
    let tables: Vec<RouteTable> = documents.iter().flat_map(envoy::read).collect();
    if tables.is_empty() {
        return Err(CommandError::Content {
            name: source.name.clone(),
            problem: "no virtual_hosts in it; routes that come by RDS are in a config_dump"
                .to_owned(),
        });
    }
    Ok((tables, source))
}

fn describe(found: &FoundConfig, config: &Config) -> String {
    let tests = found
        .json
        .as_object()
        .and_then(|object| object.get("tests"));
    let tests = tests.and_then(Json::as_array).map_or(0, <[Json]>::len);
    format!(
        "ok, {}, {}, {} passed",
        count(config.claims.issuers.len(), "issuer"),
        count(config.rbac.routes.routes().len(), "route"),
        count(tests, "test"),
    )
}

/// A config that Envoy does not give to the filter as JSON.
fn struct_config(found: &FoundConfig) -> Diagnostic {
    let start = found.spans.value.start;
    Diagnostic {
        severity: Severity::Error,
        rule: rules::STRUCT,
        message: "Envoy gives a google.protobuf.Struct to the filter as protobuf bytes, which it refuses; write the \
                  config as JSON in a google.protobuf.StringValue"
            .to_owned(),
        help: None,
        source: Rc::clone(&found.source),
        owner: found.owner.clone(),
        range: start..start.saturating_add(1),
        hidden: Hidden::All,
    }
}

fn syntax(error: SourceError) -> Diagnostic {
    let end = error.source.text.get(error.offset..).map_or(0, |rest| {
        let length = rest.chars().next().map_or(0, char::len_utf8);
        if rest.starts_with('\n') { 0 } else { length }
    });
    Diagnostic {
        severity: Severity::Error,
        rule: rules::SYNTAX,
        message: error.problem,
        help: None,
        owner: String::new(),
        range: error.offset..error.offset.saturating_add(end),
        // A file that is no config may be a key or a token.
        hidden: if error.is_syntax {
            Hidden::Ranges([].into())
        } else {
            Hidden::All
        },
        source: Rc::clone(&error.source),
    }
}

#[cfg(test)]
mod tests;
