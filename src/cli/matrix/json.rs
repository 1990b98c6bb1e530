//! The matrix as JSON. docs/command/matrix.md documents the members.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::evaluate::{AlternativeResult, Cell};
use super::model::{Change, ColumnInfo, Matrix, RouteInfo, Row};

/// Prints one object on several lines: one line per column and route.
pub(super) fn print(matrix: &Matrix, output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "{{")?;
    writeln!(output, " \"config\": {},", json!(matrix.name))?;
    if let Some(old) = &matrix.old_name {
        let count = |change| (change as Change, matrix.count(change));
        let counts: Map<String, Value> = [
            Change::NewlyAllowed,
            Change::NewlyDenied,
            Change::Conditions,
        ]
        .map(count)
        .into_iter()
        .map(|(change, count)| (change.name().to_owned(), json!(count)))
        .collect();
        writeln!(output, " \"old_config\": {},", json!(old))?;
        writeln!(output, " \"changes\": {},", Value::Object(counts))?;
    }
    list("columns", matrix.columns.iter().map(column), output)?;
    writeln!(output, ",")?;
    list(
        "routes",
        matrix.rows.iter().map(|it| row(matrix, it)),
        output,
    )?;
    writeln!(output, "\n}}")
}

fn list(name: &str, items: impl Iterator<Item = Value>, output: &mut impl Write) -> io::Result<()> {
    write!(output, " \"{name}\": [")?;
    for (index, item) in items.enumerate() {
        let separator = if index > 0 { "," } else { "" };
        write!(output, "{separator}\n  {item}")?;
    }
    write!(output, "\n ]")
}

/// A column.
pub(super) fn column(it: &ColumnInfo) -> Value {
    let mut value = json!({
        "kind": it.column.kind(), "name": it.column.name(), "meaning": it.column.meaning(),
    });
    if let (Some(note), Some(members)) = (&it.note, value.as_object_mut()) {
        members.insert("note".to_owned(), json!(note));
    }
    value
}

/// A route without its cells.
pub(super) fn route(it: &RouteInfo) -> Value {
    json!({
        "name": it.name, "hosts": it.hosts, "methods": it.methods, "path": it.path,
        "mode": if it.shadow { "shadow" } else { "enforce" }, "enforce_percent": it.enforce_percent,
        "public": it.public, "needs_several_roles": it.needs_several_roles, "allow": it.allow,
    })
}

/// A cell.
pub(super) fn cell(it: &Cell) -> Value {
    let alternatives = it.alternatives.iter().map(|result| match result {
        AlternativeResult::Holds(why) => json!({"result": "holds", "why": why}),
        AlternativeResult::Open(conditions) => json!({"result": "conditional", "if": conditions}),
        AlternativeResult::Fails(reason, why) => {
            json!({"result": "fails", "reason": reason.code(), "why": why})
        }
    });
    json!({"access": it.access.name(), "alternatives": alternatives.collect::<Vec<_>>()})
}

fn row(matrix: &Matrix, row: &Row) -> Value {
    let cells = |choose: fn(&super::model::CellPair) -> Option<super::model::CellId>| -> Value {
        let ids = row.cells.iter().map(choose);
        ids.map(|id| id.and_then(|id| matrix.cell(id)).map_or(Value::Null, cell))
            .collect()
    };
    let mut value = row.shown().map_or_else(|| json!({}), route);
    let Some(members) = value.as_object_mut() else {
        return value;
    };
    members.insert("cells".to_owned(), cells(|pair| pair.new));
    if matrix.old_name.is_some() {
        let change = row.change().map(|change| change.name());
        members.insert("change".to_owned(), json!(change));
        members.insert(
            "old".to_owned(),
            row.old.as_ref().map_or(Value::Null, route),
        );
        members.insert("instead".to_owned(), json!(row.instead));
        members.insert("old_cells".to_owned(), cells(|pair| pair.old));
        let changes = row.cells.iter().map(|pair| pair.change.map(Change::name));
        members.insert("cell_changes".to_owned(), changes.collect());
    }
    value
}
