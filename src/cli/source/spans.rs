//! Where values are in a text.

use std::ops::Range;

use crate::config::path::{ConfigPath, PathStep};

/// The place of a value and of the values in it, as byte ranges of the text.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Spans {
    /// The value.
    pub(in crate::cli) value: Range<usize>,
    /// The values in it, in order.
    pub(in crate::cli) children: Children,
}

/// The places of the values in a value.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) enum Children {
    /// A scalar, or a value whose parts have no place of their own.
    #[default]
    None,
    /// The elements of a list.
    List(Vec<Spans>),
    /// The members of an object.
    Map(Vec<Member>),
}

/// The place of a member of an object.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Member {
    /// Its name.
    pub(in crate::cli) name: String,
    /// Where the name is.
    pub(in crate::cli) key: Range<usize>,
    /// Where the value is.
    pub(in crate::cli) spans: Spans,
}

/// What a path leads to.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Located<'s> {
    /// Where the value is; of the last step that exists.
    pub(in crate::cli) spans: &'s Spans,
    /// Where its name is, if it has one.
    pub(in crate::cli) key: Option<Range<usize>>,
    /// Whether all steps of the path exist.
    pub(in crate::cli) exact: bool,
}

impl Spans {
    /// Follows a path as far as it leads. Of members with the same name it takes the last: the first is what
    /// a reader uses, the last is what it complains about.
    pub(in crate::cli) fn locate(&self, path: &ConfigPath) -> Located<'_> {
        let mut found = Located {
            spans: self,
            key: None,
            exact: true,
        };
        for step in path.steps() {
            let next = match (step, &found.spans.children) {
                (PathStep::Index(index), Children::List(items)) => {
                    items.get(*index).map(|spans| (spans, None))
                }
                (PathStep::Key(name), Children::Map(members)) => members
                    .iter()
                    .rev()
                    .find(|member| member.name == *name)
                    .map(|member| (&member.spans, Some(member.key.clone()))),
                _ => None,
            };
            let Some((spans, key)) = next else {
                found.exact = false;
                return found;
            };
            found = Located {
                spans,
                key,
                exact: true,
            };
        }
        found
    }

    /// The member with that name.
    pub(in crate::cli) fn member(&self, name: &str) -> Option<&Spans> {
        let Children::Map(members) = &self.children else {
            return None;
        };
        let member = members.iter().find(|member| member.name == name)?;
        Some(&member.spans)
    }

    /// The element with that index.
    pub(in crate::cli) fn element(&self, index: usize) -> Option<&Spans> {
        match &self.children {
            Children::List(items) => items.get(index),
            _ => None,
        }
    }

    /// Where values are that must not be shown: under `keys` of an issuer, all but those that are never secret.
    pub(in crate::cli) fn secrets(&self) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let issuers = self
            .member("claims")
            .and_then(|claims| claims.member("issuers"));
        if let Some(Children::List(issuers)) = issuers.map(|issuers| &issuers.children) {
            for keys in issuers.iter().filter_map(|issuer| issuer.member("keys")) {
                keys.collect_secrets("keys", &mut found);
            }
        }
        found
    }

    fn collect_secrets(&self, name: &str, found: &mut Vec<Range<usize>>) {
        // Of JWK (RFC 7517, 7518), `x`, `y`, `n` and `e` are public.
        const PUBLIC: [&str; 15] = [
            "env",
            "kid",
            "url",
            "cluster",
            "refresh",
            "timeout",
            "max_stale",
            "kty",
            "crv",
            "use",
            "x",
            "y",
            "n",
            "e",
            "key_ops",
        ];
        match &self.children {
            Children::None if !PUBLIC.contains(&name) => found.push(self.value.clone()),
            Children::None => {}
            Children::List(items) => items
                .iter()
                .for_each(|item| item.collect_secrets(name, found)),
            Children::Map(members) => {
                for member in members {
                    member.spans.collect_secrets(&member.name, found);
                }
            }
        }
    }

    /// Moves all ranges by a function of the offset.
    pub(in crate::cli) fn map(self, offset: &dyn Fn(usize) -> usize) -> Self {
        let range = |range: Range<usize>| offset(range.start)..offset(range.end);
        Self {
            value: range(self.value),
            children: match self.children {
                Children::None => Children::None,
                Children::List(items) => {
                    Children::List(items.into_iter().map(|item| item.map(offset)).collect())
                }
                Children::Map(members) => Children::Map(
                    members
                        .into_iter()
                        .map(|member| Member {
                            name: member.name,
                            key: range(member.key),
                            spans: member.spans.map(offset),
                        })
                        .collect(),
                ),
            },
        }
    }
}

impl Children {
    /// Where the last of them ends.
    pub(super) fn end(&self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::List(items) => items.last().map(|item| item.value.end),
            Self::Map(members) => members.last().map(|member| member.spans.value.end),
        }
    }
}
