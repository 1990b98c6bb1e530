//! Messages for people: the excerpt underlined, as rustc prints it.

use std::io::{self, Write};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{Diagnostic, Hidden, Severity, Summary, count, number_of};

pub(super) fn print(
    diagnostics: &[Diagnostic],
    summary: &Summary,
    output: &mut impl Write,
) -> io::Result<()> {
    let styled = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    let renderer = if styled {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    for diagnostic in diagnostics {
        writeln!(output, "{}\n", render(diagnostic, &renderer))?;
    }
    for (title, content) in &summary.configs {
        writeln!(output, "{title}: {content}")?;
    }
    let errors = number_of(diagnostics, Severity::Error);
    let warnings = number_of(diagnostics, Severity::Warning);
    let checked = count(summary.configs.len(), "config");
    if errors == 0 && warnings == 0 {
        return writeln!(output, "{checked} checked, no problems");
    }
    writeln!(
        output,
        "{checked} checked, {}, {}",
        count(errors, "error"),
        count(warnings, "warning")
    )
}

fn render(diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let (line, excerpt, span) = excerpt(diagnostic);
    let path = if diagnostic.owner.is_empty() {
        diagnostic.source.name.clone()
    } else {
        format!("{} ({})", diagnostic.source.name, diagnostic.owner)
    };
    let mut group = level
        .primary_title(&diagnostic.message)
        .id(diagnostic.rule)
        .element(
            Snippet::source(excerpt)
                .line_start(line)
                .path(path)
                .annotation(AnnotationKind::Primary.span(span)),
        );
    if let Some(help) = diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group])
}

/// The lines of the excerpt: their number, their text, and the range within it. Only these lines are given to
/// the renderer, so that a large file costs no more than a small one.
fn excerpt(diagnostic: &Diagnostic) -> (usize, String, std::ops::Range<usize>) {
    let text = &diagnostic.source.text;
    let range = &diagnostic.range;
    let start = diagnostic.source.line_start(range.start);
    let rest = text.get(range.end..).unwrap_or_default();
    let end = rest
        .find('\n')
        .map_or(text.len(), |newline| range.end.saturating_add(newline));
    let (line, _) = diagnostic.source.position(range.start);
    let lines = text.get(start..end).unwrap_or_default();
    let lines = match &diagnostic.hidden {
        Hidden::All => String::new(),
        Hidden::Ranges(hidden) => {
            let is_hidden = |at: usize| {
                let at = start.saturating_add(at);
                hidden.iter().any(|range| range.contains(&at))
            };
            // The ranges are whole values, so no character is cut; the length stays.
            let byte = |(at, byte): (usize, u8)| match byte {
                b'\n' | b'\r' => byte,
                _ if is_hidden(at) => b'*',
                byte => byte,
            };
            let shown: Vec<u8> = lines.bytes().enumerate().map(byte).collect();
            String::from_utf8_lossy(&shown).into_owned()
        }
    };
    if lines.is_empty() {
        return (line, lines, 0..0);
    }
    let span = range.start.saturating_sub(start)..range.end.saturating_sub(start);
    (line, lines, span)
}
