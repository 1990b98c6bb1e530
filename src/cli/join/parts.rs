//! How long a request took in each part of its way, from the durations of its lines.
//!
//! Only durations are used, each measured by one clock: the clocks of two hops may differ. A part that the
//! lines do not tell is unknown.

use super::fields::Field;
use super::options::Options;
use super::outcome::{HOPS, Log, Passed};
use super::times::Times;

/// A part of a request's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Total,
    Edge,
    /// Between the edge and the next hop.
    Network,
    /// The two above, if the edge's log does not tell them apart.
    EdgeAndNetwork,
    Haproxy,
    /// Between HAProxy and the mesh.
    HaproxyNetwork,
    Mesh,
    Filter,
    Connect,
    Upstream,
    /// Between the mesh and the app.
    AppNetwork,
    App,
}

/// The number of parts.
pub(super) const PARTS: usize = 12;

/// The time of each part, in microseconds; `None` if it is unknown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts([Option<u64>; PARTS]);

/// The resolution of durations from which others are subtracted, in microseconds: what was cut off may make a
/// duration smaller than a part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolution {
    /// The edge's total.
    total: u64,
    /// The edge's wait.
    wait: u64,
    /// HAProxy's wait.
    haproxy: u64,
    /// The mesh's wait.
    upstream: u64,
}

impl Part {
    pub(super) const ALL: [Self; PARTS] = [
        Self::Total,
        Self::Edge,
        Self::Network,
        Self::EdgeAndNetwork,
        Self::Haproxy,
        Self::HaproxyNetwork,
        Self::Mesh,
        Self::Filter,
        Self::Connect,
        Self::Upstream,
        Self::AppNetwork,
        Self::App,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Edge => "edge",
            Self::Network => "network",
            Self::EdgeAndNetwork => "edge_and_network",
            Self::Haproxy => "haproxy",
            Self::HaproxyNetwork => "haproxy_network",
            Self::Mesh => "mesh",
            Self::Filter => "filter",
            Self::Connect => "connect",
            Self::Upstream => "upstream",
            Self::AppNetwork => "app_network",
            Self::App => "app",
        }
    }

    /// Whether this part is shown only where it is known: it needs the log of a hop that may be left out.
    pub(super) const fn is_optional(self) -> bool {
        matches!(
            self,
            Self::EdgeAndNetwork
                | Self::Haproxy
                | Self::HaproxyNetwork
                | Self::AppNetwork
                | Self::App
        )
    }
}

impl Parts {
    /// The parts of a request from its line in the log of each hop.
    pub(super) fn of(lines: &[Option<(Passed, Times)>; HOPS], resolution: Resolution) -> Self {
        let [edge, haproxy, mesh, app] = lines;
        let (passed, edge) = edge.unwrap_or((Passed::Unknown, Times::default()));
        let has_haproxy = haproxy.is_some();
        let (haproxy_passed, haproxy) = haproxy.unwrap_or((Passed::Unknown, Times::default()));
        let mesh = mesh.map_or_else(Times::default, |(_, times)| times);
        let app = app.and_then(|(_, times)| times.total);
        let own = edge.own.or_else(|| match edge.wait {
            Some(wait) => minus(edge.total, Some(wait), resolution.total),
            None if passed == Passed::Not => edge.total,
            None => None,
        });
        // The sum of its parts has the finer resolution.
        let total = match (edge.own, edge.wait) {
            (Some(own), Some(wait)) => own.checked_add(wait),
            (Some(own), None) if passed == Passed::Not => Some(own),
            _ => edge.total,
        };
        let behind_edge = if has_haproxy {
            haproxy.response
        } else {
            mesh.response
        };
        let of_haproxy = match haproxy_passed {
            Passed::Not if haproxy.wait.is_none() => haproxy.total,
            _ => minus(haproxy.response, haproxy.wait, resolution.haproxy),
        };
        let both = minus(edge.total, behind_edge, resolution.total);
        let mut parts = Self::default();
        for (part, time) in [
            (Part::Total, total),
            (Part::Edge, own),
            (
                Part::Network,
                minus(edge.wait, behind_edge, resolution.wait),
            ),
            (Part::EdgeAndNetwork, both.filter(|_| own.is_none())),
            (Part::Haproxy, of_haproxy),
            (
                Part::HaproxyNetwork,
                minus(haproxy.wait, mesh.response, resolution.haproxy),
            ),
            (Part::Mesh, mesh.response),
            (Part::Filter, mesh.filter),
            (Part::Connect, mesh.connect),
            (Part::Upstream, mesh.upstream),
            (
                Part::AppNetwork,
                minus(mesh.upstream, app, resolution.upstream),
            ),
            (Part::App, app),
        ] {
            if let Some(slot) = parts.0.get_mut(part as usize) {
                *slot = time;
            }
        }
        parts
    }

    /// The time of a part.
    pub(super) fn get(&self, part: Part) -> Option<u64> {
        *self.0.get(part as usize)?
    }

    /// Each part with its time.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Part, Option<u64>)> {
        Part::ALL.into_iter().zip(self.0)
    }
}

impl Resolution {
    #[cfg(test)]
    pub(super) const EXACT: Self = Self {
        total: 1,
        wait: 1,
        haproxy: 1,
        upstream: 1,
    };

    pub(super) fn new(options: &Options) -> Self {
        let of = |log, field| options.fields(log).unit(field).micros();
        Self {
            total: of(Log::Edge, Field::Duration),
            wait: of(Log::Edge, Field::Wait),
            haproxy: of(Log::Haproxy, Field::Wait),
            upstream: of(Log::Mesh, Field::Upstream),
        }
    }
}

/// `whole - part`. If the difference is negative only because `whole` was cut to its resolution, it is 0; else
/// the durations contradict each other, and it is unknown.
fn minus(whole: Option<u64>, part: Option<u64>, resolution: u64) -> Option<u64> {
    let (whole, part) = (whole?, part?);
    match whole.checked_sub(part) {
        Some(rest) => Some(rest),
        None if part.saturating_sub(whole) < resolution => Some(0),
        None => None,
    }
}

#[cfg(test)]
mod tests;
