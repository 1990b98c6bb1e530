//! Compares policies without traffic: one representative request for each class of requests that the routes tell
//! apart ([`shapes`]), and the least that a principal needs for access ([`terms`]).

use crate::config::{Config, Mode};
use crate::policy::pattern::Segment;
use crate::policy::percent::Percent;
use crate::policy::route::Route;

pub(super) mod shapes;
pub(super) mod terms;

/// How many literal segments a route's path begins with.
pub(super) fn leading_literals(route: &Route) -> usize {
    let segments = route.path.segments().iter();
    segments
        .take_while(|segment| matches!(segment, Segment::Literal(_)))
        .count()
}

/// Whether the denials of a route, or of requests without one, are only recorded.
pub(super) fn is_shadow(config: &Config, route: Option<&Route>) -> bool {
    config.mode == Mode::Shadow
        || route.is_some_and(|route| route.shadow || route.enforce_percent == Percent::NONE)
}

#[cfg(test)]
pub(super) mod tests;
