//! Warnings that are silenced, by `--allow` or by a comment in YAML.

use crate::cli::diagnostic::{Diagnostic, Severity};

/// What silences a rule: `# edge-claims: allow(rule, rule)` on the line of the excerpt or in the comment above it.
const MARK: &str = "edge-claims: allow(";

/// The rules that are not reported.
pub(super) struct Silence<'o> {
    allowed: &'o [&'static str],
}

impl<'o> Silence<'o> {
    pub(super) fn new(allowed: &'o [&'static str]) -> Self {
        Self { allowed }
    }

    /// Whether a problem is not reported. Errors always are.
    pub(super) fn covers(&self, diagnostic: &Diagnostic) -> bool {
        diagnostic.severity == Severity::Warning
            && (self.allowed.contains(&diagnostic.rule) || has_comment(diagnostic))
    }
}

fn has_comment(diagnostic: &Diagnostic) -> bool {
    let text = &diagnostic.source.text;
    let line_start = diagnostic.source.line_start(diagnostic.range.start);
    let line = text.get(line_start..).and_then(|rest| rest.lines().next());
    let comment = line.and_then(comment_of);
    if comment.is_some_and(|comment| allows(comment, diagnostic.rule)) {
        return true;
    }
    let above = text.get(..line_start).unwrap_or_default();
    above
        .lines()
        .rev()
        .map_while(|line| line.trim_start().strip_prefix('#'))
        .any(|comment| allows(comment, diagnostic.rule))
}

/// The comment at the end of a line of YAML: after white space, and not within quotes.
fn comment_of(line: &str) -> Option<&str> {
    let (before, comment) = line.rsplit_once(" #")?;
    let is_quoted = |quote: char| before.matches(quote).count() % 2 == 1;
    (!is_quoted('"') && !is_quoted('\'')).then_some(comment)
}

fn allows(comment: &str, rule: &str) -> bool {
    let list = comment
        .split_once(MARK)
        .and_then(|(_, rest)| rest.split_once(')'));
    list.is_some_and(|(list, _)| list.split(',').any(|name| name.trim() == rule))
}
