//! Replays the requests of an access log through both configs.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use super::record::{Field, FieldNames, Record};
use crate::claims::Claims;
use crate::cli::analysis::is_shadow;
use crate::cli::join::lines::{Line, Lines};
use crate::cli::progress::progress_bar;
use crate::cli::{CommandError, clock, source};
use crate::config::Config;
use crate::denial::Reason;
use crate::headers::Headers;
use crate::json::Json;
use crate::policy::authorize::{Circumstances, Policy};
use crate::policy::locate::Target;
use crate::policy::principal::Principal;
use crate::policy::roles::RoleSet;
use crate::policy::route::RouteId;

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// How many examples of a change are kept.
const EXAMPLES: usize = 3;

/// How many different changes are kept; there are at most as many as pairs of routes and reasons.
const MAX_CHANGES: usize = 100_000;

#[derive(Debug, Args)]
#[command(next_help_heading = "Replay")]
pub(in crate::cli) struct ReplayOptions {
    /// An access log, one JSON object per line (docs/access-logs); `-` for stdin. Its requests go through both
    /// configs
    #[arg(long, value_name = "LOG")]
    pub(super) replay: Option<PathBuf>,
    /// Claims by the logged subject: a JSON object `{"SUBJECT": {claims}}`. A request whose subject is not in it
    /// counts as one without a token
    #[arg(long, value_name = "FILE", requires = "replay")]
    pub(super) subjects: Option<PathBuf>,
    /// The name of a field in the log: method, host, path, time, subject or claims (an object, or a string with
    /// one); may be repeated
    #[arg(long, value_name = "FIELD=NAME", requires = "replay", value_parser = FieldNames::parse)]
    pub(super) field: Vec<(Field, String)>,
}

/// What a replay found.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// Requests that were judged.
    pub(super) requests: u64,
    /// Lines without a method or a path.
    pub(super) incomplete: u64,
    /// Lines that are not JSON, or too long.
    pub(super) broken: u64,
    /// Requests of which one of the routes tests headers or peers, which the log does not have.
    pub(super) without_context: u64,
    /// Requests that both configs allow, and that both deny.
    pub(super) unchanged: (u64, u64),
    /// By what changed.
    pub(super) changes: Vec<(ReplayChange, Count)>,
}

/// What changed for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ReplayChange {
    pub(super) old: Judgement,
    pub(super) new: Judgement,
}

/// What one config decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Judgement {
    /// The route.
    pub(super) route: Option<RouteId>,
    /// Why it denies; `None` if it allows, also by shadow mode.
    pub(super) denied: Option<Reason>,
}

/// How often, with examples: the number of the line, and the request.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) requests: u64,
    pub(super) examples: Vec<(u64, String)>,
}

impl Replay {
    /// Whether a request is allowed now that was denied.
    pub(super) fn allows_more(&self) -> bool {
        self.changes
            .iter()
            .any(|(change, _)| change.new.denied.is_none())
    }
}

/// The claims of a request, and its roles in both configs.
struct Subject {
    claims: Claims,
    issuer: String,
    old_roles: RoleSet,
    new_roles: RoleSet,
}

struct Caller<'s> {
    subject: &'s Subject,
    roles: &'s RoleSet,
}

impl Principal for Caller<'_> {
    fn claims(&self) -> &Claims {
        &self.subject.claims
    }

    fn roles(&self) -> &RoleSet {
        self.roles
    }

    fn issuer(&self) -> &str {
        &self.subject.issuer
    }
}

/// Replays a log.
///
/// # Errors
/// A [`CommandError`] if a file cannot be read.
pub(super) fn run(
    log: &Path,
    options: &ReplayOptions,
    old: &Config,
    new: &Config,
) -> Result<Replay, CommandError> {
    let names = FieldNames::new(&options.field);
    let subjects = match &options.subjects {
        Some(path) => subjects(path, old, new)?,
        None => HashMap::new(),
    };
    let mut replayer = Replayer {
        old,
        new,
        subjects,
        changes: HashMap::new(),
        replay: Replay::default(),
    };
    let failed = |error| CommandError::Input {
        path: log.to_owned(),
        error,
    };
    let (input, size): (Box<dyn Read>, u64) = if log == "-" {
        (Box::new(io::stdin().lock()), 0)
    } else {
        let file = File::open(log).map_err(failed)?;
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        (Box::new(file), size)
    };
    let progress = progress_bar(size);
    let input = progress.wrap_read(input);
    let mut lines = Lines::new(BufReader::with_capacity(256 * 1024, input), MAX_LINE);
    let mut is_checked = false;
    while let Some((number, line)) = lines.next().map_err(failed)? {
        let record = match line {
            Line::Text(text) => {
                let record = Record::parse(text, &names);
                if record.is_some() && !is_checked {
                    is_checked = true;
                    // Without this, its requests would be judged as ones without a host.
                    if names.is_old(text) {
                        let log = log.display();
                        return Err(CommandError::Usage(format!(
                            "{log}: line {number} has no `host`, but `authority`, as access logs of earlier versions; \
                             add --field host=authority --field time=start_time"
                        )));
                    }
                }
                record
            }
            Line::TooLong => None,
        };
        match record {
            Some(record) => replayer.add(number, &record),
            None => replayer.replay.broken = replayer.replay.broken.saturating_add(1),
        }
    }
    progress.finish_and_clear();
    Ok(replayer.finish())
}

struct Replayer<'c> {
    old: &'c Config,
    new: &'c Config,
    subjects: HashMap<String, Subject>,
    changes: HashMap<ReplayChange, Count>,
    replay: Replay,
}

impl Replayer<'_> {
    fn add(&mut self, number: u64, record: &Record<'_>) {
        let (Some(method), Some(path)) = (record.get(Field::Method), record.get(Field::Path))
        else {
            self.replay.incomplete = self.replay.incomplete.saturating_add(1);
            return;
        };
        let host = record.get(Field::Host).unwrap_or("test.example");
        let of_line = record.get(Field::Claims).and_then(|text| self.claims(text));
        let by_name = record
            .get(Field::Subject)
            .and_then(|name| self.subjects.get(name));
        let subject = of_line.as_ref().or(by_name);
        let now = record
            .get(Field::Time)
            .and_then(|time| clock::parse(time).ok());
        let target = Target {
            method: method.as_bytes(),
            authority: host.as_bytes(),
            path: path.as_bytes(),
            ..Target::default()
        };
        let old = subject.map(|subject| Caller {
            subject,
            roles: &subject.old_roles,
        });
        let new = subject.map(|subject| Caller {
            subject,
            roles: &subject.new_roles,
        });
        let now = now.unwrap_or_default();
        let change = ReplayChange {
            old: judge(self.old, &target, old.as_ref(), now),
            new: judge(self.new, &target, new.as_ref(), now),
        };
        self.count(number, change, || format!("{method} {host}{path}"));
    }

    fn count(&mut self, number: u64, change: ReplayChange, show: impl FnOnce() -> String) {
        let add = |counter: &mut u64| *counter = counter.saturating_add(1);
        add(&mut self.replay.requests);
        if needs_context(&self.old.rbac, change.old.route)
            || needs_context(&self.new.rbac, change.new.route)
        {
            add(&mut self.replay.without_context);
        }
        match (change.old.denied.is_none(), change.new.denied.is_none()) {
            (true, true) => return add(&mut self.replay.unchanged.0),
            (false, false) => return add(&mut self.replay.unchanged.1),
            _ => {}
        }
        if self.changes.len() >= MAX_CHANGES && !self.changes.contains_key(&change) {
            return;
        }
        let count = self.changes.entry(change).or_default();
        add(&mut count.requests);
        if count.examples.len() < EXAMPLES {
            count.examples.push((number, show()));
        }
    }

    /// Claims in the line itself.
    fn claims(&self, text: &str) -> Option<Subject> {
        match Json::parse_strict(text.as_bytes()) {
            Ok(Json::Object(object)) => Some(subject(Claims::from(object), self.old, self.new)),
            _ => None,
        }
    }

    fn finish(mut self) -> Replay {
        let mut changes: Vec<(ReplayChange, Count)> = self.changes.drain().collect();
        // The most frequent first; then in the order of the log.
        let line = |count: &Count| count.examples.first().map_or(0, |(number, _)| *number);
        changes.sort_by_key(|(_, count)| (std::cmp::Reverse(count.requests), line(count)));
        self.replay.changes = changes;
        self.replay
    }
}

/// What a config decides, with shadow mode as it is in effect.
fn judge(
    config: &Config,
    target: &Target<'_>,
    principal: Option<&Caller<'_>>,
    now: u64,
) -> Judgement {
    let policy = &config.rbac;
    let location = match policy.locate(target) {
        Ok(location) => location,
        Err(error) => {
            return Judgement {
                route: error.route,
                denied: Some(error.denial.reason),
            };
        }
    };
    let headers = Headers::default();
    let circumstances = Circumstances {
        headers: &headers,
        peers: &Vec::new,
        now,
    };
    let result = policy.authorize(&location, principal, &circumstances);
    let route = location.route.and_then(|id| policy.routes.get(id));
    let is_shadow = is_shadow(config, route);
    Judgement {
        route: location.route,
        denied: result
            .err()
            .map(|denial| denial.reason)
            .filter(|_| !is_shadow),
    }
}

/// Whether a route tests what the log does not have.
fn needs_context(policy: &Policy, route: Option<RouteId>) -> bool {
    let route = route.and_then(|id| policy.routes.get(id));
    route.is_some_and(|route| {
        route.access.needs_peer() || route.access.tested_headers().next().is_some()
    })
}

fn subject(claims: Claims, old: &Config, new: &Config) -> Subject {
    let first = || new.claims.issuers.first().map(|issuer| issuer.name.clone());
    let issuer = claims.get("iss").and_then(Json::as_str).map(str::to_owned);
    Subject {
        issuer: issuer.or_else(first).unwrap_or_default(),
        old_roles: old.rbac.roles.roles_of(&claims),
        new_roles: new.rbac.roles.roles_of(&claims),
        claims,
    }
}

fn subjects(
    path: &Path,
    old: &Config,
    new: &Config,
) -> Result<HashMap<String, Subject>, CommandError> {
    let source = source::read(path)?;
    let error = |problem: String| CommandError::Content {
        name: source.name.clone(),
        problem,
    };
    let json = Json::parse_strict(source.text.as_bytes());
    let json = json.map_err(|problem| error(format!("not JSON: {problem}")))?;
    let expected =
        || error("must be an object of subjects, each with an object of claims".to_owned());
    let mut subjects = HashMap::new();
    for (name, claims) in json.as_object().ok_or_else(expected)?.iter() {
        let claims = claims.as_object().cloned().ok_or_else(expected)?;
        subjects.insert(name.to_owned(), subject(Claims::from(claims), old, new));
    }
    Ok(subjects)
}
