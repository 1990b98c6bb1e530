//! The matrix as text for a terminal.

use std::collections::HashMap;
use std::io::{self, Write};

use super::evaluate::{Cell, CellAccess};
use super::model::{CellPair, Change, Matrix, Row, RowChange};
use crate::cli::text::printable;

/// The width of the terminal; `None` if stdout is none.
pub(super) fn terminal_width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0))
}

/// The widest title of a column.
const MAX_TITLE: usize = 24;

/// The widest path.
const MAX_PATH: usize = 48;

/// Conditions, numbered in the order in which they are shown.
#[derive(Default)]
struct Notes {
    numbers: HashMap<Vec<Vec<String>>, usize>,
    list: Vec<Vec<Vec<String>>>,
}

/// Prints the table, in blocks of columns that fit into `width`, then the legend and the conditions.
pub(super) fn print(
    matrix: &Matrix,
    width: Option<usize>,
    output: &mut impl Write,
) -> io::Result<()> {
    heading(matrix, output)?;
    let mut notes = Notes::default();
    let lead = lead(matrix);
    let texts: Vec<Vec<String>> = matrix
        .rows
        .iter()
        .map(|row| {
            let cells = row.cells.iter();
            cells
                .map(|pair| show_pair(matrix, pair, &mut notes))
                .collect()
        })
        .collect();
    let columns: Vec<(String, usize)> = matrix
        .columns
        .iter()
        .enumerate()
        .map(|(index, it)| {
            let title = end_of(&printable(&it.column.name()), MAX_TITLE);
            let cells = texts.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|text| text.chars().count()).max().unwrap_or(0);
            let width = widest.max(title.chars().count());
            (title, width)
        })
        .collect();
    let lead_width = lead
        .iter()
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0);
    let mut start = 0_usize;
    loop {
        let end = block_end(&columns, start, lead_width, width);
        let titles = columns.iter().map(|(title, _)| title.as_str());
        let first = lead.first().map_or("", String::as_str);
        line(first, lead_width, titles, &columns, start..end, output)?;
        for (text, row) in lead.iter().skip(1).zip(&texts) {
            let cells = row.iter().map(String::as_str);
            line(text, lead_width, cells, &columns, start..end, output)?;
        }
        writeln!(output)?;
        start = end;
        if start >= columns.len() {
            break;
        }
    }
    legend(matrix, &notes, output)
}

fn heading(matrix: &Matrix, output: &mut impl Write) -> io::Result<()> {
    let Some(old) = &matrix.old_name else {
        return Ok(());
    };
    writeln!(output, "{} → {}", printable(old), printable(&matrix.name))?;
    let rows = |change| {
        let rows = matrix.rows.iter();
        rows.filter(|row| row.change() == Some(change)).count()
    };
    writeln!(
        output,
        "cells: {} newly allowed, {} newly denied, {} with other conditions; routes: {} added, {} removed, {} changed\n",
        matrix.count(Change::NewlyAllowed),
        matrix.count(Change::NewlyDenied),
        matrix.count(Change::Conditions),
        rows(RowChange::Added),
        rows(RowChange::Removed),
        rows(RowChange::Changed),
    )
}

/// The columns before the cells, aligned: a header, then one line for each row.
fn lead(matrix: &Matrix) -> Vec<String> {
    let mut lines = vec![["", "route", "methods", "host and path", "mode"].map(str::to_owned)];
    for row in &matrix.rows {
        lines.push(match row.shown() {
            Some(route) => [
                mark(row).to_owned(),
                printable(route.title()),
                printable(&route.methods.join(",")),
                shorten(&printable(&place(row)), MAX_PATH),
                modes(row),
            ],
            None => Default::default(),
        });
    }
    let mut widths = [0_usize; 5];
    for line in &lines {
        for (width, text) in widths.iter_mut().zip(line) {
            *width = (*width).max(text.chars().count());
        }
    }
    let aligned = lines.iter().map(|line| {
        let columns = line.iter().zip(widths).filter(|(_, width)| *width > 0);
        let columns = columns.map(|(text, width)| format!("{text:<width$}"));
        columns.collect::<Vec<_>>().join("  ")
    });
    aligned.collect()
}

fn mark(row: &Row) -> &'static str {
    match row.change() {
        Some(RowChange::Added) => "+",
        Some(RowChange::Removed) => "-",
        Some(RowChange::Changed) => "~",
        None => "",
    }
}

fn place(row: &Row) -> String {
    row.shown()
        .map_or_else(String::new, |route| match route.hosts.as_slice() {
            [] => route.path.clone(),
            [host] => format!("{host}{}", route.path),
            [host, more @ ..] => format!("{host} (+{}){}", more.len(), route.path),
        })
}

fn modes(row: &Row) -> String {
    match (&row.old, &row.new) {
        (Some(old), Some(new)) if old.mode() != new.mode() => {
            format!("{} → {}", old.mode(), new.mode())
        }
        _ => row.shown().map_or_else(String::new, |route| route.mode()),
    }
}

fn show_pair(matrix: &Matrix, pair: &CellPair, notes: &mut Notes) -> String {
    let mut show = |id| {
        matrix
            .cell(id)
            .map_or_else(String::new, |cell| show(cell, notes))
    };
    let old = pair.old.filter(|_| pair.change.is_some()).map(&mut show);
    let new = pair.new.map_or_else(|| "?".to_owned(), show);
    match old {
        Some(old) => format!("{old} → {new}"),
        None => new,
    }
}

fn show(cell: &Cell, notes: &mut Notes) -> String {
    match cell.access {
        CellAccess::Allowed => "yes".to_owned(),
        CellAccess::Denied => "-".to_owned(),
        CellAccess::Conditional => {
            let conditions: Vec<Vec<String>> = cell.open().map(<[String]>::to_vec).collect();
            format!("if {}", notes.number(conditions))
        }
    }
}

impl Notes {
    fn number(&mut self, conditions: Vec<Vec<String>>) -> usize {
        if let Some(number) = self.numbers.get(&conditions) {
            return *number;
        }
        self.list.push(conditions.clone());
        self.numbers.insert(conditions, self.list.len());
        self.list.len()
    }
}

/// The end of the block of columns from `start` on: at least one column.
fn block_end(
    columns: &[(String, usize)],
    start: usize,
    lead: usize,
    width: Option<usize>,
) -> usize {
    let mut used = lead;
    let mut end = start;
    for (_, column) in columns.iter().skip(start) {
        used = used.saturating_add(*column).saturating_add(2);
        if end > start && width.is_some_and(|width| used > width) {
            break;
        }
        end = end.saturating_add(1);
    }
    end
}

fn line<'t>(
    lead: &str,
    lead_width: usize,
    texts: impl Iterator<Item = &'t str>,
    columns: &[(String, usize)],
    block: std::ops::Range<usize>,
    output: &mut impl Write,
) -> io::Result<()> {
    let mut line = format!("{lead:<lead_width$}");
    let cells = texts.zip(columns).skip(block.start).take(block.len());
    for (text, (_, width)) in cells {
        line.push_str(&format!("  {text:<width$}"));
    }
    writeln!(output, "{}", line.trim_end())
}

fn legend(matrix: &Matrix, notes: &Notes, output: &mut impl Write) -> io::Result<()> {
    writeln!(
        output,
        "yes  allowed    -  denied    if N  allowed under the conditions N    shadow  denials are recorded only"
    )?;
    for (number, alternatives) in (1_usize..).zip(&notes.list) {
        let alternatives: Vec<String> = alternatives
            .iter()
            .map(|conditions| printable(&conditions.join("; ")))
            .collect();
        writeln!(output, "{number:>4}  {}", alternatives.join("\n      or "))?;
    }
    for it in &matrix.columns {
        if let Some(note) = &it.note {
            writeln!(output, "{}: {note}", printable(&it.column.name()))?;
        }
    }
    for route in matrix.rows.iter().filter_map(Row::shown) {
        if route.needs_several_roles {
            writeln!(
                output,
                "{}: no role alone is enough",
                printable(route.title())
            )?;
        }
    }
    for row in &matrix.rows {
        if let (Some(route), Some(instead)) = (row.shown(), &row.instead) {
            let when = if row.new.is_some() { "before" } else { "now" };
            writeln!(
                output,
                "{}: {when} {instead} decides (by a sample request)",
                printable(route.title())
            )?;
        }
    }
    Ok(())
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// The end of a text: the IDs of peers and issuers often begin alike.
fn end_of(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let skipped = length.saturating_sub(most.saturating_sub(1));
    ['…']
        .into_iter()
        .chain(text.chars().skip(skipped))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_do_not_fit_follow_below() {
        let columns: Vec<(String, usize)> = (0..5).map(|_| (String::new(), 8)).collect();
        assert_eq!(block_end(&columns, 0, 20, None), 5);
        assert_eq!(block_end(&columns, 0, 20, Some(40)), 2);
        assert_eq!(block_end(&columns, 2, 20, Some(39)), 3);
        assert_eq!(
            block_end(&columns, 4, 20, Some(1)),
            5,
            "at least one column"
        );
    }

    #[test]
    fn long_texts_are_shortened_at_either_end() {
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(end_of("abcdef", 4), "…def");
        assert_eq!(
            (shorten("abcd", 4), end_of("abcd", 4)),
            ("abcd".to_owned(), "abcd".to_owned())
        );
    }
}
