//! The matrix as CSV (RFC 4180).

use std::io::{self, Write};

use super::evaluate::Cell;
use super::model::{Change, Matrix, Row};

/// Prints a header and one line per route. Every field is quoted.
pub(super) fn print(matrix: &Matrix, output: &mut impl Write) -> io::Result<()> {
    let is_comparison = matrix.old_name.is_some();
    let mut header: Vec<String> = ["route", "hosts", "methods", "path", "mode"]
        .map(str::to_owned)
        .into();
    if is_comparison {
        header.push("change".to_owned());
    }
    header.extend(matrix.columns.iter().map(|it| {
        let (kind, name) = (it.column.kind(), it.column.name());
        if kind == name {
            name
        } else {
            format!("{kind} {name}")
        }
    }));
    line(&header, output)?;
    for row in &matrix.rows {
        let Some(route) = row.shown() else { continue };
        let mut fields = vec![
            route.name.clone().unwrap_or_default(),
            route.hosts.join(" "),
            route.methods.join(" "),
            route.path.clone(),
            route.mode(),
        ];
        if is_comparison {
            fields.push(row.change().map_or("", |change| change.name()).to_owned());
        }
        fields.extend(cells(matrix, row));
        line(&fields, output)?;
    }
    Ok(())
}

fn cells<'m>(matrix: &'m Matrix, row: &'m Row) -> impl Iterator<Item = String> + 'm {
    row.cells.iter().map(|pair| {
        let show = |id| matrix.cell(id).map_or_else(String::new, show);
        let new = pair.new.map_or_else(String::new, show);
        match (pair.change.map(Change::name), pair.old) {
            (Some(change), Some(old)) => format!("{change}: {} → {new}", show(old)),
            _ => new,
        }
    })
}

/// `allowed`, `denied`, or `conditional: …`.
fn show(cell: &Cell) -> String {
    let open: Vec<String> = cell
        .open()
        .map(|conditions| conditions.join("; "))
        .collect();
    match (cell.access, open.is_empty()) {
        (super::evaluate::CellAccess::Conditional, false) => {
            format!("conditional: {}", open.join(" | or "))
        }
        (access, _) => access.name().to_owned(),
    }
}

fn line(fields: &[String], output: &mut impl Write) -> io::Result<()> {
    for (index, text) in fields.iter().enumerate() {
        let separator = if index > 0 { "," } else { "" };
        write!(output, "{separator}{}", field(text))?;
    }
    output.write_all(b"\r\n")
}

/// A quoted field. Spreadsheets take a text that begins with one of these characters as a formula, also if it
/// is quoted; an apostrophe before it prevents that.
fn field(text: &str) -> String {
    let is_formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_no_formula() {
        for (text, expected) in [
            ("", r#""""#),
            ("a", r#""a""#),
            ("a\"b", r#""a""b""#),
            ("a,b\r\nc", "\"a,b\r\nc\""),
            ("=1+1", r#""'=1+1""#),
            ("@SUM(A1)", r#""'@SUM(A1)""#),
            ("-2", r#""'-2""#),
            ("+2", r#""'+2""#),
            ("\t=1", "\"'\t=1\""),
            ("a=1", r#""a=1""#),
        ] {
            assert_eq!(field(text), expected);
        }
    }
}
