//! `edge-claims test`: runs policy tests over configs, and shows what no test touches.

mod coverage;
mod report;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;

use clap::{Args, ValueEnum};

use self::coverage::Coverage;
use super::diagnostic::Diagnostic;
use super::source::{self, Document, FoundConfig, Source};
use super::{Answer, CommandError};
use crate::config::Config;
use crate::config::path::ConfigPath;
use crate::config::policy_test::{self, NamedTest};
use crate::json::{Json, Object};

/// Run policy tests, and show what they do not cover.
///
/// Runs the tests in each config, as the filter does when it loads it, and the tests of all files whose name ends
/// in .test.yaml, .test.yml or .test.json, over each config. A test file has one key, `tests`, with the same list
/// as in a config.
///
/// Coverage counts, for each route: a test request that it decides; for each alternative of `allow`: one that it
/// allows; for each condition: one that this condition alone denies.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Files with configs, and test files
    #[arg(value_name = "CONFIG|TESTS", required = true)]
    files: Vec<PathBuf>,
    /// Run only the tests whose name contains this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// List what no test covers
    #[arg(long)]
    coverage: bool,
    /// Fail if a config's coverage is below this percentage
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Run again whenever a file changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims test config.yaml
  edge-claims test config.yaml orders.test.yaml --coverage
  edge-claims test deploy/*.yaml policy.test.yaml --min-coverage 90 --format junit > results.xml
  edge-claims test config.yaml --watch

Exit codes:
  0  all tests passed, and the coverage suffices
  1  a test failed, a config or a test file has errors, or the coverage is too low
  2  wrong usage, or a file cannot be read";

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text for a terminal
    Text,
    /// One JSON object
    Json,
    /// Test Anything Protocol, version 14
    Tap,
    /// JUnit XML
    Junit,
}

/// The tests of one config.
struct Suite {
    /// The config.
    title: String,
    results: Vec<TestResult>,
    /// Errors in the config or in test files, which keep tests from running.
    errors: Vec<Diagnostic>,
    coverage: Coverage,
}

/// The result of one test.
struct TestResult {
    name: String,
    /// `file:line`
    place: String,
    /// Why it failed.
    failure: Option<String>,
}

/// Runs tests.
///
/// # Errors
/// A [`CommandError`] if a file cannot be read.
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    if options.watch {
        return watch::run(&options.files, output, |output| run_once(options, output));
    }
    run_once(options, output)
}

fn run_once(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let (test_files, configs): (Vec<_>, Vec<_>) =
        options.files.iter().partition(|path| is_test_file(path));
    if configs.is_empty() {
        return Err(CommandError::Usage(
            "name at least one config besides the test files".to_owned(),
        ));
    }
    let mut files = Vec::new();
    for path in test_files {
        let source = source::read(path)?;
        files.extend(source::documents(&source)?);
    }
    let mut suites = Vec::new();
    for path in configs {
        for found in source::configs(path)? {
            suites.push(Suite::run(&found, &files, options.only.as_deref())?);
        }
    }
    let is_empty = |suite: &Suite| suite.results.is_empty() && suite.errors.is_empty();
    if let Some(text) = &options.only
        && suites.iter().all(is_empty)
    {
        return Err(CommandError::Usage(format!(
            "--only {text:?}: no test has this text in its name"
        )));
    }
    report::print(&suites, options, output)?;
    let least = f64::from(options.min_coverage.unwrap_or(0));
    let passed = |suite: &Suite| suite.passed() && suite.coverage.percent() >= least;
    Ok(if suites.iter().all(passed) {
        Answer::Yes
    } else {
        Answer::No
    })
}

fn is_test_file(path: &std::path::Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".test.yaml", ".test.yml", ".test.json"]
        .iter()
        .any(|end| name.ends_with(end))
}

impl Suite {
    fn run(
        found: &FoundConfig,
        files: &[Document],
        only: Option<&str>,
    ) -> Result<Self, CommandError> {
        let mut suite = Self {
            title: found.title(),
            results: Vec::new(),
            errors: Vec::new(),
            coverage: Coverage::default(),
        };
        // The config's own tests run here, so that each has a result.
        let (without_tests, tests) = split_tests(found);
        let config = match without_tests.load() {
            Ok(config) => config,
            Err(errors) => {
                let errors = errors.0.iter();
                suite.errors = errors
                    .map(|error| Diagnostic::of_config(found, error))
                    .collect();
                return Ok(suite);
            }
        };
        suite.coverage = Coverage::new(&config);
        if let Some(tests) = tests {
            suite.run_list(found, tests, &config, only);
        }
        for file in files {
            let Some(tests) = file.json.as_object().and_then(|object| object.get("tests")) else {
                return Err(CommandError::Content {
                    name: file.source.name.clone(),
                    problem: "a test file needs the key `tests` with a list of tests".to_owned(),
                });
            };
            let found = FoundConfig {
                source: Rc::clone(&file.source),
                owner: String::new(),
                json: file.json.clone(),
                spans: file.spans.clone(),
                is_struct: false,
                fail_open: None,
            };
            suite.run_list(&found, tests, &config, only);
        }
        Ok(suite)
    }

    fn run_list(&mut self, found: &FoundConfig, tests: &Json, config: &Config, only: Option<&str>) {
        let first = config.claims.issuers.first();
        let first = first.map_or("", |issuer| issuer.name.as_str());
        let path = ConfigPath::root().key("tests");
        let result = policy_test::for_each(tests, &path, first, |test| {
            if only.is_none_or(|text| test.name.contains(text)) {
                self.run_test(test, found, config);
            }
        });
        if let Err(errors) = result {
            let errors = errors
                .iter()
                .map(|error| Diagnostic::of_config(found, error));
            self.errors.extend(errors);
        }
    }

    fn run_test(&mut self, test: &NamedTest<'_>, found: &FoundConfig, config: &Config) {
        let failure = test
            .check(&config.rbac)
            .err()
            .map(|failure| failure.to_string());
        // A test that fails shows nothing.
        if failure.is_none() {
            self.coverage.add(test, &config.rbac);
        }
        self.results.push(TestResult {
            name: test.name.to_owned(),
            place: place(&found.source, found, &test.path),
            failure,
        });
    }

    fn failed(&self) -> usize {
        self.results
            .iter()
            .filter(|result| result.failure.is_some())
            .count()
    }

    fn passed(&self) -> bool {
        self.errors.is_empty() && self.failed() == 0
    }
}

fn place(source: &Source, found: &FoundConfig, path: &ConfigPath) -> String {
    let (line, _) = source.position(found.spans.locate(path).spans.value.start);
    format!("{}:{line}", source.name)
}

/// The config without its tests, and the tests.
fn split_tests(found: &FoundConfig) -> (FoundConfig, Option<&Json>) {
    let members = found.json.as_object();
    let tests = members.and_then(|object| object.get("tests"));
    let rest: Object = members
        .into_iter()
        .flat_map(Object::iter)
        .filter(|(name, _)| *name != "tests")
        .map(|(name, value)| (name.into(), value.clone()))
        .collect();
    let without = FoundConfig {
        source: Rc::clone(&found.source),
        owner: found.owner.clone(),
        json: if members.is_some() {
            Json::Object(rest)
        } else {
            found.json.clone()
        },
        spans: found.spans.clone(),
        is_struct: found.is_struct,
        fail_open: None,
    };
    (without, tests)
}
