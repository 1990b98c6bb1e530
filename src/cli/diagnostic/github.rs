//! Workflow commands of GitHub Actions, which it shows as annotations of the changed lines.

use std::io::{self, Write};

use super::Diagnostic;

pub(super) fn print(diagnostics: &[Diagnostic], output: &mut impl Write) -> io::Result<()> {
    for diagnostic in diagnostics {
        let region = diagnostic.region();
        writeln!(
            output,
            "::{} file={},line={},endLine={},col={},endColumn={},title={}::{}",
            diagnostic.severity.name(),
            property(&diagnostic.source.name),
            region.line,
            region.end_line,
            region.column,
            region.end_column,
            diagnostic.rule,
            message(&diagnostic.message),
        )?;
    }
    Ok(())
}

/// Escapes what would end a message.
fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes what would end a property.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
