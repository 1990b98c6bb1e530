//! The rows of two configs beside each other.
//!
//! Routes are the same if they have the same name. For a route that only one config has, a sample request
//! shows which route decides in the other one.

use std::collections::HashMap;

use crate::policy::host::{HostName, HostPattern};
use crate::policy::locate::Target;
use crate::policy::route::Route;

use super::evaluate::Cell;
use super::model::{CellId, CellPair, Change, RouteInfo, Row, Side};

/// The rows: those of `new` in its order, then those that only `old` has, then the one without a route.
pub(super) fn rows(new: Side<'_>, old: Option<Side<'_>>, cells: &[Cell]) -> Vec<Row> {
    let Some(old) = old else {
        let rows = new.routes.into_iter();
        return rows
            .map(|(route, ids)| Row {
                new: Some(route),
                old: None,
                instead: None,
                cells: pairs(Some(&ids), None, ids.len(), cells),
            })
            .collect();
    };
    let (new_by_name, old_by_name) = (by_name(&new), by_name(&old));
    let mut rows = Vec::new();
    let mut last = None;
    for (index, (route, ids)) in new.routes.iter().enumerate() {
        let row = match old_by_name.get(&route.name.as_deref()) {
            Some((old_route, old_ids)) => Row {
                new: Some(route.clone()),
                old: Some(old_route.clone()),
                instead: None,
                cells: pairs(Some(ids), Some(old_ids), ids.len(), cells),
            },
            None => {
                let before = deciding(&new, index, &old);
                Row {
                    new: Some(route.clone()),
                    old: None,
                    instead: Some(title(before)),
                    cells: pairs(Some(ids), before.map(|it| &it.1), ids.len(), cells),
                }
            }
        };
        if route.name.is_none() {
            last = Some(row);
        } else {
            rows.push(row);
        }
    }
    for (index, (route, ids)) in old.routes.iter().enumerate() {
        if !new_by_name.contains_key(&route.name.as_deref()) {
            let now = deciding(&old, index, &new);
            rows.push(Row {
                new: None,
                old: Some(route.clone()),
                instead: Some(title(now)),
                cells: pairs(now.map(|it| &it.1), Some(ids), ids.len(), cells),
            });
        }
    }
    rows.extend(last);
    rows
}

type RouteCells = (RouteInfo, Vec<CellId>);

fn title(row: Option<&RouteCells>) -> String {
    row.map_or("(not known)", |(route, _)| route.title())
        .to_owned()
}

fn by_name<'s>(side: &'s Side<'_>) -> HashMap<Option<&'s str>, &'s RouteCells> {
    let routes = side.routes.iter();
    routes.map(|it| (it.0.name.as_deref(), it)).collect()
}

/// The row of `other` that decides about a sample request of a route.
fn deciding<'s>(side: &Side<'_>, index: usize, other: &'s Side<'_>) -> Option<&'s RouteCells> {
    let route = side.config.rbac.routes.routes().get(index)?;
    let (method, host, path) = sample(route);
    let target = Target {
        method: method.as_bytes(),
        authority: host.as_bytes(),
        path: path.as_bytes(),
        ..Target::default()
    };
    let location = other.config.rbac.locate(&target).ok()?;
    match location.route {
        Some(id) => other.routes.get(id.index()),
        None => other.routes.last(),
    }
}

/// A request that a route matches: method, host and path.
fn sample(route: &Route) -> (String, String, String) {
    let method = route
        .methods
        .first()
        .map_or("GET", |method| method.as_str());
    let host = route
        .hosts
        .first()
        .map_or_else(|| "any.example".to_owned(), sample_host);
    // A variable is a whole segment in braces, the other segments are literal.
    let source = route.path.to_string();
    let segments = source
        .split('/')
        .map(|segment| match segment.starts_with('{') {
            true => "any",
            false => segment,
        });
    let path = segments.collect::<Vec<_>>().join("/");
    (method.to_owned(), host, path)
}

fn sample_host(pattern: &HostPattern) -> String {
    let name = match &pattern.name {
        HostName::Exact(host) => host.to_string(),
        HostName::Below(suffix) => format!("any.{suffix}"),
    };
    match pattern.port {
        Some(port) => format!("{name}:{port}"),
        None => name,
    }
}

fn pairs(
    new: Option<&Vec<CellId>>,
    old: Option<&Vec<CellId>>,
    columns: usize,
    cells: &[Cell],
) -> Vec<CellPair> {
    let id = |list: Option<&Vec<CellId>>, index: usize| list?.get(index).copied();
    let pair = |index| {
        let (new, old) = (id(new, index), id(old, index));
        let change = old
            .zip(new)
            .filter(|(old, new)| old != new)
            .and_then(|(old, new)| Change::between(cells.get(old.0)?, cells.get(new.0)?));
        CellPair { new, old, change }
    };
    (0..columns).map(pair).collect()
}
