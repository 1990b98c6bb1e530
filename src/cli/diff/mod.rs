//! `edge-claims diff`: who gains and who loses access between two configs.

mod print;
mod record;
mod replay;
mod route_rules;
mod settings;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::replay::{Replay, ReplayOptions};
use self::settings::SettingChange;
use super::analysis::is_shadow;
use super::analysis::shapes::{Shape, for_each_shape};
use super::analysis::terms::{Rules, Term};
use super::{Answer, CommandError, source};
use crate::config::Config;
use crate::policy::access::Access;
use crate::policy::roles::RoleModel;
use crate::policy::route::{Route, RouteId};

/// Show who gains and who loses access between two configs.
///
/// Compares the access rules for every class of requests that the routes of either config tell apart: hosts,
/// methods, and paths by the patterns that they match. For each, it finds the least that a user needs for access,
/// and checks whether the other config allows that. Nothing is sampled, unless the output says so. Conditions
/// under `when` are compared as they are written: two that are written differently count as a change.
///
/// Settings outside the routes (issuers, path rules, modes) are compared one by one.
///
/// With --replay, the requests of an access log go through both configs as well. The log has no headers and no
/// client certificates, and its tokens are taken as verified.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The file with the config that is in force
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The file with the config to come
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Which config, if a file has several: a part of its title
    #[arg(long, value_name = "TITLE")]
    select: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    replay: ReplayOptions,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims diff old.yaml new.yaml
  git show main:gateway.yaml | edge-claims diff - gateway.yaml --format line
  edge-claims diff old.yaml new.yaml --replay access.log --subjects subjects.json

Exit codes:
  0  nobody gains access
  1  somebody gains access, a setting may allow more, or the configs are too large to compare
  2  wrong usage, a file that cannot be read, or a config with errors";

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text for a terminal
    Text,
    /// One JSON object
    Json,
    /// One line, for a pull-request check
    Line,
}

/// What differs between two configs.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// What changes for which requests, in the order of the shapes.
    pub(super) changes: Vec<Change>,
    /// Other settings.
    pub(super) settings: Vec<SettingChange>,
    /// Whether all shapes were compared.
    pub(super) complete: bool,
}

/// What changes for the requests that one route decided before, and another one now.
#[derive(Debug)]
pub(super) struct Change {
    /// The route before; `None` if no route matched.
    pub(super) old: Option<String>,
    /// The route now.
    pub(super) new: Option<String>,
    /// Who is allowed now and was denied: the least that they need.
    pub(super) gained: Vec<String>,
    /// Who was allowed and is denied now.
    pub(super) lost: Vec<String>,
    /// Rules of the route besides `allow` that accept more now.
    pub(super) looser: Vec<String>,
    /// Rules of the route besides `allow` that accept less now.
    pub(super) stricter: Vec<String>,
    /// Representatives of the requests.
    pub(super) shapes: Vec<Shape>,
}

/// What is printed.
struct Report<'r> {
    difference: &'r Difference,
    replay: Option<&'r Replay>,
    old: &'r Config,
    new: &'r Config,
}

/// Compares two configs.
///
/// # Errors
/// A [`CommandError`] if a file cannot be read or a config has errors.
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let select = options.select.as_deref();
    let old = source::one_config(&options.old, select)?;
    let new = source::one_config(&options.new, select)?;
    let (before, now) = (source::load(&old)?, source::load(&new)?);
    let mut difference = compare(&before, &now);
    difference.settings = settings::compare(&old.json, &new.json);
    difference
        .settings
        .extend(route_rules::kept_paths(&before, &now));
    let log = options.replay.replay.as_ref();
    let replay = log.map(|log| replay::run(log, &options.replay, &before, &now));
    let replay = replay.transpose()?;
    if let (Some(log), Some(replay)) = (log, &replay)
        && replay.requests == 0
    {
        return Err(CommandError::Content {
            name: log.display().to_string(),
            problem: "no line of the log is a request: it needs one JSON object per line, with a method and a path"
                .to_owned(),
        });
    }
    let report = Report {
        difference: &difference,
        replay: replay.as_ref(),
        old: &before,
        new: &now,
    };
    print::print(&report, options.format, output)?;
    let replay_allows_more = replay.as_ref().is_some_and(Replay::allows_more);
    Ok(if difference.allows_more() || replay_allows_more {
        Answer::No
    } else {
        Answer::Yes
    })
}

impl Difference {
    /// Whether anybody gains access, a setting may allow more, or that cannot be said.
    pub(super) fn allows_more(&self) -> bool {
        !self.complete
            || self.changes.iter().any(Change::allows_more)
            || self
                .settings
                .iter()
                .any(|setting| setting.effect.allows_more())
    }
}

impl Change {
    fn is_one(&self) -> bool {
        let lists = [&self.gained, &self.lost, &self.looser, &self.stricter];
        lists.iter().any(|list| !list.is_empty())
    }

    /// Whether somebody loses access, or a request is not accepted that was.
    pub(super) fn allows_less(&self) -> bool {
        !self.lost.is_empty() || !self.stricter.is_empty()
    }

    /// Whether somebody gains access, or a request is accepted that was not.
    pub(super) fn allows_more(&self) -> bool {
        !self.gained.is_empty() || !self.looser.is_empty()
    }
}

/// Compares the routes of two configs.
pub(super) fn compare(old: &Config, new: &Config) -> Difference {
    let (old, new) = (Side::new(old), Side::new(new));
    // By the pair of routes, because the rules of a pair are the same for all of its shapes.
    let mut pairs: BTreeMap<(Option<RouteId>, Option<RouteId>), Vec<Shape>> = BTreeMap::new();
    let mut complete = for_each_shape(&[&old.config.rbac, &new.config.rbac], |shape| {
        let pair = (shape.route(&old.config.rbac), shape.route(&new.config.rbac));
        pairs.entry(pair).or_default().push(shape);
    });
    let mut changes: Vec<Change> = pairs
        .into_iter()
        .map(|((before, now), shapes)| {
            complete &= old.is_complete(before) && new.is_complete(now);
            let rules = old.route(before).zip(new.route(now));
            let (looser, stricter) = rules.map_or_else(Default::default, |(before, now)| {
                route_rules::compare((old.config, before), (new.config, now))
            });
            Change {
                gained: new.terms_beyond(now, &old, before),
                lost: old.terms_beyond(before, &new, now),
                looser,
                stricter,
                old: old.name(before),
                new: new.name(now),
                shapes,
            }
        })
        .filter(Change::is_one)
        .collect();
    changes.sort_by(|a, b| a.shapes.cmp(&b.shapes));
    Difference {
        changes,
        settings: Vec::new(),
        complete,
    }
}

/// One of the two configs.
struct Side<'c> {
    config: &'c Config,
    issuers: Vec<String>,
    everyone: Access,
    authenticated: Access,
}

impl<'c> Side<'c> {
    fn new(config: &'c Config) -> Self {
        let issuers = config.claims.issuers.iter();
        Self {
            config,
            issuers: issuers.map(|issuer| issuer.name.clone()).collect(),
            everyone: Access::public(),
            authenticated: Access::authenticated(),
        }
    }

    fn route(&self, id: Option<RouteId>) -> Option<&Route> {
        self.config.rbac.routes.get(id?)
    }

    fn name(&self, id: Option<RouteId>) -> Option<String> {
        self.route(id).map(|route| route.name.clone())
    }

    /// The rules that are in effect: shadow mode lets everyone pass. `None`: nobody is allowed.
    fn rules(&self, id: Option<RouteId>) -> Option<Rules<'_>> {
        let route = self.route(id);
        let access = match route {
            _ if is_shadow(self.config, route) => &self.everyone,
            Some(route) => &route.access,
            None if self.config.rbac.default_authenticated => &self.authenticated,
            None => return None,
        };
        Some(Rules {
            access,
            path: route.map(|route| &route.path),
            roles: self.roles(),
            issuers: &self.issuers,
        })
    }

    fn is_complete(&self, id: Option<RouteId>) -> bool {
        self.rules(id).is_none_or(|rules| rules.is_complete())
    }

    fn roles(&self) -> &RoleModel {
        &self.config.rbac.roles
    }

    /// Who is allowed here, and not on the other side.
    fn terms_beyond(
        &self,
        here: Option<RouteId>,
        other: &Self,
        there: Option<RouteId>,
    ) -> Vec<String> {
        let Some(rules) = self.rules(here) else {
            return Vec::new();
        };
        let others = other.rules(there);
        let denied = |term: &Term| others.is_none_or(|others| !others.allow(term, None));
        let terms: Vec<Term> = rules.terms(others).into_iter().filter(denied).collect();
        let is_weakest = |term: &&Term| !terms.iter().any(|other| rules.is_stronger(term, other));
        let mut texts: Vec<String> = Vec::new();
        for term in terms.iter().filter(is_weakest).map(Term::to_string) {
            if !texts.contains(&term) {
                texts.push(term);
            }
        }
        texts
    }
}

#[cfg(test)]
mod tests;
