//! Tests of the matrix against the policy.

mod cells;
mod properties;

use serde_json::{Value, json};

use super::column::ColumnKind;
use super::model::{CellPair, Matrix, Named, Row};
use crate::config::{Config, load};

const ALL_KINDS: [ColumnKind; 4] = [
    ColumnKind::Roles,
    ColumnKind::Scopes,
    ColumnKind::Peers,
    ColumnKind::Issuers,
];

/// A config with these issuers and this `rbac`.
fn config_of(issuers: &[&str], rbac: &Value) -> Config {
    let keys = json!({"inline": {"keys": [{"kty": "EC", "kid": "k1", "crv": "P-256",
        "x": "1o58ANBg0xihJUeqzPD12jDCtLNVH9fC3gvhy-PdLrI",
        "y": "uYQ0U27THpfH6Eg4omfuSEIYs_sIRJzTXIGAMwA60JU"}]}});
    let issuer = |name: &&str| json!({"issuer": name, "any_audience": true, "algorithms": ["ES256"], "keys": keys});
    let issuers: Vec<Value> = issuers.iter().map(issuer).collect();
    let config = json!({"claims": {"issuers": issuers}, "rbac": rbac});
    load(config.to_string().as_bytes()).unwrap_or_else(|errors| panic!("{errors}\n{config:#}"))
}

/// A config with one issuer and these routes.
fn config(includes: &Value, routes: &Value) -> Config {
    let rbac = json!({"roles": {"claim": "roles", "includes": includes}, "routes": routes});
    config_of(&["i"], &rbac)
}

fn matrix(config: &Config, kinds: &[ColumnKind]) -> Matrix {
    let name = "new";
    Matrix::new(Named { name, config }, None, kinds)
}

fn row<'m>(matrix: &'m Matrix, name: &str) -> &'m Row {
    let is_it = |row: &&Row| row.shown().unwrap().title() == name;
    matrix.rows.iter().find(is_it).unwrap()
}

fn pair(matrix: &Matrix, route: &str, column: &str) -> CellPair {
    let is_it = |it: &super::model::ColumnInfo| it.column.name() == column;
    let index = matrix.columns.iter().position(is_it).unwrap();
    row(matrix, route).cells[index]
}

/// The access, and the results of the alternatives.
fn shown(matrix: &Matrix, route: &str, column: &str) -> String {
    use super::evaluate::AlternativeResult::{Fails, Holds, Open};
    let cell = matrix
        .cell(pair(matrix, route, column).new.unwrap())
        .unwrap();
    let alternatives = cell.alternatives.iter().map(|it| match it {
        Holds(why) => format!("holds: {why}"),
        Open(conditions) => format!("if {}", conditions.join("; ")),
        Fails(reason, why) => format!("{}: {why}", reason.code()),
    });
    let alternatives: Vec<String> = alternatives.collect();
    format!("{} ({})", cell.access.name(), alternatives.join(" | "))
}
