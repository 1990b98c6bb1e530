//! Hosts: what the source compares with `:authority`, and the host patterns of routes.

use super::expr::Cover;
use super::text::{Text, TextRule};
use crate::policy::host::{Authority, HostName, HostPattern};

/// The requests that the same host patterns match.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HostShape {
    /// One host; without a port, with any port that no other shape names.
    Exact(String, Option<u16>),
    /// One or more labels before this host.
    Below(String, Option<u16>),
    /// All others.
    Any,
}

impl HostShape {
    /// The shapes that a test tells apart from others.
    pub(super) fn of(text: &Text) -> Vec<Self> {
        match &text.rule {
            TextRule::Exact(host) => Self::parse(host).into_iter().collect(),
            TextRule::Suffix(suffix) => match suffix.strip_prefix('.') {
                Some(_) => Self::parse(&format!("*{suffix}")).into_iter().collect(),
                None => [Self::parse(suffix), Self::parse(&format!("*.{suffix}"))]
                    .into_iter()
                    .flatten()
                    .collect(),
            },
            TextRule::Prefix(prefix) => {
                let host = prefix.strip_suffix(':').and_then(Self::parse);
                host.into_iter().collect()
            }
            TextRule::Any
            | TextRule::NonEmpty
            | TextRule::Contains(_)
            | TextRule::Regex(_)
            | TextRule::Unknown => Vec::new(),
        }
    }

    fn parse(pattern: &str) -> Option<Self> {
        let pattern = HostPattern::parse(pattern).ok()?;
        Some(match pattern.name {
            HostName::Exact(host) => Self::Exact(host.into(), pattern.port),
            HostName::Below(host) => Self::Below(host.into(), pattern.port),
        })
    }

    /// The pattern of a route; `None` for all hosts.
    pub(super) fn pattern(&self) -> Option<String> {
        let with_port = |host: &str, port: &Option<u16>| match port {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        match self {
            Self::Exact(host, port) => Some(with_port(host, port)),
            Self::Below(host, port) => Some(with_port(&format!("*.{host}"), port)),
            Self::Any => None,
        }
    }

    /// The requests that both match.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let port = |one: &Option<u16>, other: &Option<u16>| match (one, other) {
            (Some(one), Some(other)) if one != other => None,
            (one, other) => Some(one.or(*other)),
        };
        match (self, other) {
            (Self::Any, shape) | (shape, Self::Any) => Some(shape.clone()),
            (Self::Exact(one, a), Self::Exact(other, b)) if one == other => {
                Some(Self::Exact(one.clone(), port(a, b)?))
            }
            (Self::Exact(host, a), Self::Below(suffix, b))
            | (Self::Below(suffix, b), Self::Exact(host, a))
                if is_below(host, suffix) =>
            {
                Some(Self::Exact(host.clone(), port(a, b)?))
            }
            (Self::Below(one, a), Self::Below(other, b)) => {
                if one == other || is_below(one, other) {
                    Some(Self::Below(one.clone(), port(a, b)?))
                } else if is_below(other, one) {
                    Some(Self::Below(other.clone(), port(a, b)?))
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    /// How many requests of this shape, less those of narrower shapes, satisfy a test. Envoy compares the
    /// authority as it was sent; a shape without a port stands for the authority that goes on, without port.
    pub(super) fn cover(&self, text: &Text) -> Cover {
        if matches!(text.rule, TextRule::Any | TextRule::NonEmpty) {
            return Cover::Full;
        }
        let case_known = text.ignore_case || !has_upper(text);
        let cover = match self {
            Self::Exact(host, port) => {
                let authority = match port {
                    Some(port) => format!("{host}:{port}"),
                    None => host.clone(),
                };
                if port.is_none() && may_test_port(text) {
                    Cover::Partial
                } else {
                    let lower = text.clone().ignoring_case(true);
                    let held = lower.matches(&authority);
                    held.map_or(Cover::Partial, Cover::exactly)
                }
            }
            Self::Below(_, None) if may_test_port(text) => Cover::Partial,
            Self::Below(suffix, port) => below(suffix, *port, text),
            Self::Any => match &text.rule {
                TextRule::Exact(_) => Cover::None,
                TextRule::Suffix(suffix) if suffix.starts_with('.') => Cover::None,
                _ => Cover::Partial,
            },
        };
        if cover == Cover::Full && !case_known {
            return Cover::Partial;
        }
        cover
    }
}

fn below(host: &str, port: Option<u16>, text: &Text) -> Cover {
    let end = match port {
        Some(port) => format!(".{host}:{port}"),
        None => format!(".{host}"),
    };
    match &text.rule {
        TextRule::Exact(_) => Cover::None,
        TextRule::Suffix(suffix) => {
            let suffix = suffix.to_ascii_lowercase();
            if end.ends_with(&suffix) {
                Cover::Full
            } else if suffix.ends_with(&end) && !suffix.starts_with('.') {
                Cover::Partial
            } else {
                Cover::None
            }
        }
        _ => Cover::Partial,
    }
}

/// Whether a test depends on the port, which a shape without one leaves open. The hosts that `a:80` and
/// `*.a:80` name have a shape of their own.
fn may_test_port(text: &Text) -> bool {
    match &text.rule {
        TextRule::Suffix(part) if part.starts_with('.') => false,
        TextRule::Prefix(part) | TextRule::Suffix(part) | TextRule::Contains(part) => {
            part.contains(':') || part.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

fn has_upper(text: &Text) -> bool {
    match &text.rule {
        TextRule::Exact(text)
        | TextRule::Prefix(text)
        | TextRule::Suffix(text)
        | TextRule::Contains(text) => text.bytes().any(|byte| byte.is_ascii_uppercase()),
        _ => false,
    }
}

fn is_below(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix)
        .is_some_and(|labels| labels.ends_with('.'))
}

/// Why no request can have such a host, if the test names one that the filter refuses.
pub(super) fn refused(text: &Text) -> bool {
    match &text.rule {
        TextRule::Exact(host) => Authority::parse(host.as_bytes()).is_err(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(host: &str) -> HostShape {
        HostShape::Exact(host.into(), None)
    }

    fn suffix(text: &str) -> Text {
        Text::new(TextRule::Suffix(text.into())).ignoring_case(true)
    }

    #[test]
    fn a_suffix_without_a_dot_matches_more_than_hosts_below() {
        let all = suffix("example.com");
        assert_eq!(HostShape::of(&all).len(), 2);
        assert_eq!(exact("badexample.com").cover(&all), Cover::Full);
        assert_eq!(HostShape::Any.cover(&all), Cover::Partial);
        let below = suffix(".example.com");
        assert_eq!(exact("example.com").cover(&below), Cover::None);
        assert_eq!(exact("a.example.com").cover(&below), Cover::Full);
        assert_eq!(HostShape::Any.cover(&below), Cover::None);
    }

    #[test]
    fn a_port_counts_as_it_was_sent() {
        let with = HostShape::Exact("a.example".into(), Some(8080));
        assert_eq!(with.cover(&Text::exact("a.example")), Cover::None);
        assert_eq!(with.cover(&Text::exact("a.example:8080")), Cover::Full);
        assert_eq!(
            exact("a.example").cover(&Text::exact("a.example:8080")),
            Cover::None
        );
        let any_port = Text::new(TextRule::Prefix("a.example:".into()));
        assert_eq!(exact("a.example").cover(&any_port), Cover::Partial);
    }
}
