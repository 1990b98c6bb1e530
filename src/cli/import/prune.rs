//! Drops routes without which the others decide in the same way.

use serde_json::Value;

use super::hosts::HostShape;
use super::path_shape::PathShape;
use super::routes::Groups;

/// Drops cells whose requests would be decided in the same way without them.
pub(super) fn prune(mut cells: Vec<Groups>) -> Vec<Groups> {
    // The narrowest first.
    cells.sort_by_key(|groups| {
        groups
            .first()
            .map(|route| std::cmp::Reverse((route.path.segments.len(), route.path.end)))
    });
    let mut index = 0;
    while let Some(groups) = cells.get(index) {
        let dispensable = groups.first().is_some_and(|route| {
            let others = cells
                .iter()
                .filter_map(|other| Some((other, &other.first()?.path)));
            let others =
                others.filter(|(_, path)| **path != route.path && !path.is_within(&route.path));
            // Of those that contain it, the most specific would decide.
            let (containing, crossing): (Vec<_>, Vec<_>) =
                others.partition(|(_, path)| route.path.is_within(path));
            let next = containing
                .into_iter()
                .max_by_key(|(_, path)| path.specificity());
            next.is_some_and(|(next, _)| same(next, groups))
                && crossing
                    .into_iter()
                    .all(|(other, path)| path.meet(&route.path).is_none() || same(other, groups))
        });
        if dispensable {
            cells.remove(index);
        } else {
            index = index.saturating_add(1);
        }
    }
    cells.reverse();
    cells
}

/// Whether two cells decide alike.
fn same(one: &Groups, other: &Groups) -> bool {
    let key = |groups: &Groups| -> Vec<(Vec<String>, Vec<Value>)> {
        groups
            .iter()
            .map(|route| (route.methods.clone(), route.allow.clone()))
            .collect()
    };
    key(one) == key(other)
}

/// Drops hosts for which the routes of every other host that matches decide alike.
pub(super) fn drop_hosts(by_host: &mut Vec<(HostShape, Vec<Groups>)>) {
    let same_paths = |one: &[Groups], other: &[Groups]| {
        one.len() == other.len()
            && one.iter().zip(other).all(|(one, other)| {
                same(one, other)
                    && one.first().map(|route| &route.path)
                        == other.first().map(|route| &route.path)
            })
    };
    let mut index = 0;
    while let Some((host, cells)) = by_host.get(index) {
        let dispensable = *host != HostShape::Any
            && by_host.iter().all(|(other, others)| {
                other.meet(host).is_none()
                    || other.meet(host).as_ref() == Some(other)
                    || same_paths(cells, others)
            });
        if dispensable {
            by_host.remove(index);
        } else {
            index = index.saturating_add(1);
        }
    }
}

/// Drops routes that deny all methods which no route of the same path names, if without them every other route
/// that matches denies these methods, too. A route for HEAD stays, because one for GET would include it.
pub(super) fn drop_denials(cells: Vec<Groups>) -> Vec<Groups> {
    let denies = |cell: &Groups, method: Option<&str>| {
        let named = cell.iter().find(|route| {
            method.is_some_and(|method| route.methods.iter().any(|known| known == method))
        });
        named
            .or_else(|| cell.first())
            .is_none_or(|route| route.allow.is_empty())
    };
    let is_dispensable = |groups: &Groups| {
        let Some(route) = groups.first().filter(|route| route.allow.is_empty()) else {
            return false;
        };
        // Which methods this route decides: those that no other one of the path names.
        let methods = cells.iter().flatten().flat_map(|other| &other.methods);
        let methods: Vec<&str> = methods
            .map(String::as_str)
            .filter(|method| {
                !groups
                    .iter()
                    .any(|group| group.methods.iter().any(|known| known == method))
            })
            .collect();
        let wider = cells.iter().filter(|other| {
            other.first().is_some_and(|other| {
                other.path != route.path
                    && !other.path.is_within(&route.path)
                    && other.path.meet(&route.path).is_some()
            })
        });
        route.path != PathShape::all()
            && wider.into_iter().all(|other| {
                denies(other, None) && methods.iter().all(|method| denies(other, Some(method)))
            })
    };
    let kept: Vec<Groups> = cells
        .iter()
        .map(|groups| {
            let skipped = usize::from(is_dispensable(groups));
            groups.iter().skip(skipped).cloned().collect()
        })
        .collect();
    kept.into_iter()
        .filter(|groups: &Groups| !groups.is_empty())
        .collect()
}
