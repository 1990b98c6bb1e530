//! Istio's `AuthorizationPolicy`: ALLOW and DENY rules, as istiod gives them to Envoy's RBAC filter.

use std::rc::Rc;

use super::expr::{Expr, Kind, PeerTest, ValueTest};
use super::fields::{Fields, camel};
use super::listed::Report;
use super::matcher::show;
use super::paths::PathTest;
use super::routes::Rule;
use super::spelling::{MORE_SEGMENTS, MORE_SPELLINGS, has_reserved};
use super::text::{Text, TextRule};
use crate::json::Json;

const UNKNOWN_FIELD: &str = "this field is not known here";
const NO_LIST: &str = "this is no list of values";

/// What a rule is read with.
pub(super) struct Reader<'r> {
    /// Where the rule is.
    pub(super) place: Rc<str>,
    /// The namespace of the policy.
    pub(super) namespace: &'r str,
    /// Claims whose strings are split at spaces.
    pub(super) spaces: &'r [String],
    /// Whether the rule allows.
    pub(super) allows: bool,
    pub(super) report: &'r mut Report,
}

impl Reader<'_> {
    /// A rule of `spec.rules`.
    pub(super) fn rule(mut self, json: &Json) -> Rule {
        let fields = Fields::of(Some(json));
        let mut all = Vec::new();
        for name in fields.names() {
            match name.as_str() {
                "from" => all.push(self.any(fields, "from", "source", Self::source)),
                "to" => all.push(self.any(fields, "to", "operation", Self::operation)),
                "when" => match fields.get("when").and_then(Json::as_array) {
                    Some(conditions) => all.extend(
                        conditions
                            .iter()
                            .map(|condition| self.condition(Fields::of(Some(condition)))),
                    ),
                    None => all.push(self.unknown("when", NO_LIST)),
                },
                other => all.push(self.unknown(other, UNKNOWN_FIELD)),
            }
        }
        Rule {
            place: self.place,
            expr: Expr::All(all),
        }
    }

    /// One of the entries of a list, each an object under one key; without any, always.
    fn any(
        &mut self,
        fields: Fields<'_>,
        name: &str,
        key: &str,
        read: impl Fn(&mut Self, Fields<'_>) -> Expr,
    ) -> Expr {
        let Some(entries) = fields.get(name).and_then(Json::as_array) else {
            return self.unknown(name, NO_LIST);
        };
        if entries.is_empty() {
            return Expr::always();
        }
        let any = entries.iter().map(|entry| {
            let entry = Fields::of(Some(entry));
            if entry.names() == [key] {
                read(self, entry.object(key))
            } else {
                self.unknown(name, UNKNOWN_FIELD)
            }
        });
        Expr::Any(any.collect())
    }

    fn source(&mut self, fields: Fields<'_>) -> Expr {
        self.conjunction(fields, |reader, name, values| match name {
            "principals" => reader.principals(name, values),
            "request_principals" => reader.request_principals(values),
            "namespaces" => reader.namespaces(name, values),
            "service_accounts" => reader.service_accounts(name, values),
            "ip_blocks" | "remote_ip_blocks" => {
                reader.unknown(name, "the filter does not look at addresses")
            }
            _ => reader.unknown(name, UNKNOWN_FIELD),
        })
    }

    fn operation(&mut self, fields: Fields<'_>) -> Expr {
        self.conjunction(fields, |reader, name, values| {
            let texts = values.iter();
            match name {
                "hosts" => Expr::Any(texts.map(|value| reader.host(value)).collect()),
                "methods" => Expr::Any(
                    texts
                        .map(|value| {
                            let kind = Kind::Method(Text::istio(value));
                            Expr::leaf(&reader.place, format!("methods {value:?}"), kind)
                        })
                        .collect(),
                ),
                "paths" => Expr::Any(texts.map(|value| reader.path(value)).collect()),
                "ports" => {
                    reader.unknown(name, "the filter does not look at the port of the listener")
                }
                _ => reader.unknown(name, UNKNOWN_FIELD),
            }
        })
    }

    /// All fields of an object; those that begin with `not` negated.
    fn conjunction(
        &mut self,
        fields: Fields<'_>,
        read: impl Fn(&mut Self, &str, &[String]) -> Expr,
    ) -> Expr {
        let mut all = Vec::new();
        for name in fields.names() {
            let Some(values) = fields.all_texts(&name) else {
                all.push(self.unknown(&name, NO_LIST));
                continue;
            };
            if values.is_empty() {
                continue;
            }
            all.push(match name.strip_prefix("not_") {
                Some(positive) => read(self, positive, &values).negate(),
                None => read(self, &name, &values),
            });
        }
        Expr::All(all)
    }

    fn condition(&self, fields: Fields<'_>) -> Expr {
        let key = fields.text("key").unwrap_or_default().to_owned();
        let mut all = Vec::new();
        for name in fields.names() {
            match (name.as_str(), fields.all_texts(&name)) {
                ("key", _) => {}
                ("values", Some(values)) if !values.is_empty() => {
                    all.push(self.attribute(&key, &values));
                }
                ("not_values", Some(values)) if !values.is_empty() => {
                    all.push(self.attribute(&key, &values).negate());
                }
                (_, Some(values)) if values.is_empty() => {}
                _ => all.push(self.unknown(&name, NO_LIST)),
            }
        }
        if all.is_empty() {
            return self.unknown("when", "it has no values");
        }
        Expr::All(all)
    }

    fn attribute(&self, key: &str, values: &[String]) -> Expr {
        match key {
            "source.principal" => return self.principals(key, values),
            "source.namespace" => return self.namespaces(key, values),
            "source.serviceAccount" => return self.service_accounts(key, values),
            "request.auth.principal" => return self.request_principals(values),
            "request.auth.audiences" => return self.claim(key, vec!["aud".to_owned()], values),
            "request.auth.presenter" => return self.claim(key, vec!["azp".to_owned()], values),
            "source.ip" | "remote.ip" | "destination.ip" => {
                return self.unknown(key, "the filter does not look at addresses");
            }
            "destination.port" => {
                return self.unknown(key, "the filter does not look at the port of the listener");
            }
            "connection.sni" => return self.unknown(key, "the filter does not look at the SNI"),
            _ => {}
        }
        if let Some(names) = key.strip_prefix("request.auth.claims") {
            return match brackets(names) {
                Some(path) => self.claim(key, path, values),
                None => self.unknown(key, "this is no name of a claim"),
            };
        }
        let header = key
            .strip_prefix("request.headers[")
            .and_then(|name| name.strip_suffix(']'));
        if let Some(name) = header {
            let name = name.to_ascii_lowercase();
            let any = values.iter().map(|value| {
                let (text, shown) = (Text::istio(value), format!("{key} {value:?}"));
                // `*` matches an empty value, too.
                let test = (text.rule != TextRule::NonEmpty).then_some(text);
                let kind = Kind::Header {
                    name: name.clone(),
                    test,
                    invert: false,
                };
                Expr::leaf(&self.place, shown, kind)
            });
            return Expr::Any(any.collect());
        }
        self.unknown(key, "this attribute is not known here")
    }

    fn host(&mut self, value: &str) -> Expr {
        let mut text = Text::istio(value).ignoring_case(true);
        if value == "*" {
            text = Text::new(TextRule::Any);
        }
        if self.allows && super::hosts::refused(&text) {
            self.report.list(
                &self.place,
                &format!("hosts {value:?}"),
                "the filter refuses such a host; what only this allows is denied",
            );
        }
        Expr::leaf(&self.place, format!("hosts {value:?}"), Kind::Host(text))
    }

    fn path(&mut self, value: &str) -> Expr {
        let is_template = value.contains("{*}") || value.contains("{**}");
        let test = if is_template {
            let template = value.replace("{*}", "*").replace("{**}", "**");
            PathTest::template(&template)
        } else {
            PathTest::of(&Text::istio(value))
        };
        let shown = format!("paths {value:?}");
        if self.allows {
            if test == PathTest::Never {
                self.report.list(&self.place, &shown, "the filter refuses such a path, or no request has it; what only this allows is denied");
            } else if is_template {
                self.report.list(&self.place, &shown, MORE_SEGMENTS);
            } else if has_reserved(value.trim_matches('*')) {
                self.report.list(&self.place, &shown, MORE_SPELLINGS);
            }
        }
        Expr::leaf(&self.place, shown, Kind::Path(test))
    }

    fn claim(&self, key: &str, path: Vec<String>, values: &[String]) -> Expr {
        let texts: Vec<Text> = values.iter().map(|value| Text::istio(value)).collect();
        let members = texts.iter().cloned().map(ValueTest::Member);
        let tests = texts
            .iter()
            .cloned()
            .map(ValueTest::Text)
            .chain(members)
            .collect();
        // istiod lets Envoy split these at spaces.
        let spaces = matches!(path.as_slice(), [only] if only == "scope" || only == "permission" || self.spaces.contains(only));
        let shown: Vec<String> = texts.iter().map(show).collect();
        if spaces && values.len() > 1 {
            let any = values
                .iter()
                .map(|value| self.claim(key, path.clone(), std::slice::from_ref(value)));
            return Expr::Any(any.collect());
        }
        Expr::leaf(
            &self.place,
            format!("{key} {}", shown.join(", ")),
            Kind::Claim {
                path,
                tests,
                spaces,
            },
        )
    }

    /// `iss/sub`, with `*` at the start or the end.
    fn request_principals(&self, values: &[String]) -> Expr {
        let any = values.iter().map(|value| {
            let non_empty = || Text::new(TextRule::NonEmpty);
            let suffix = |text: &str| Text::new(TextRule::Suffix(text.to_owned()));
            let prefix = |text: &str| Text::new(TextRule::Prefix(text.to_owned()));
            let split = value.rsplit_once('/');
            let (iss, sub) = if value == "*" {
                (non_empty(), non_empty())
            } else if let Some(rest) = value.strip_prefix('*') {
                match split {
                    Some(("*", sub)) => (non_empty(), Text::exact(sub)),
                    Some((iss, sub)) => (
                        suffix(iss.strip_prefix('*').unwrap_or(iss)),
                        Text::exact(sub),
                    ),
                    None => (non_empty(), suffix(rest)),
                }
            } else if let Some(rest) = value.strip_suffix('*') {
                match split {
                    Some((iss, "*")) => (Text::exact(iss), non_empty()),
                    Some((iss, sub)) => (
                        Text::exact(iss),
                        prefix(sub.strip_suffix('*').unwrap_or(sub)),
                    ),
                    None => (prefix(rest), non_empty()),
                }
            } else {
                let (iss, sub) = split.unwrap_or((value, ""));
                (Text::exact(iss), Text::exact(sub))
            };
            let shown = format!("requestPrincipals {value:?}");
            let claim = |name: &str, text: Text| {
                let kind = match text.rule {
                    // Every token that the filter accepts has an issuer.
                    TextRule::NonEmpty if name == "iss" => Kind::Token,
                    _ => Kind::Claim {
                        path: vec![name.to_owned()],
                        tests: vec![ValueTest::Text(text)],
                        spaces: false,
                    },
                };
                Expr::leaf(&self.place, shown.clone(), kind)
            };
            Expr::All(vec![claim("iss", iss), claim("sub", sub)])
        });
        Expr::Any(any.collect())
    }

    fn principals(&self, name: &str, values: &[String]) -> Expr {
        let tests = values.iter().map(|value| {
            let text = Text::istio(value);
            match text.rule {
                TextRule::NonEmpty => PeerTest::AnyName,
                TextRule::Exact(id) => {
                    PeerTest::Name(Text::new(TextRule::Exact(format!("spiffe://{id}"))))
                }
                TextRule::Prefix(id) => {
                    PeerTest::Name(Text::new(TextRule::Prefix(format!("spiffe://{id}"))))
                }
                _ => PeerTest::Name(text),
            }
        });
        self.peers(name, values, tests.collect())
    }

    fn namespaces(&self, name: &str, values: &[String]) -> Expr {
        let tests = values.iter().map(|value| {
            if value.contains('*') {
                PeerTest::Name(Text::new(TextRule::Unknown))
            } else {
                PeerTest::Namespace(value.clone())
            }
        });
        self.peers(name, values, tests.collect())
    }

    fn service_accounts(&self, name: &str, values: &[String]) -> Expr {
        let tests = values.iter().map(|value| {
            let (namespace, name) = value.split_once('/').unwrap_or((self.namespace, value));
            PeerTest::ServiceAccount {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }
        });
        self.peers(name, values, tests.collect())
    }

    fn peers(&self, name: &str, values: &[String], tests: Vec<PeerTest>) -> Expr {
        Expr::leaf(
            &self.place,
            format!("{} {}", camel(name), values.join(", ")),
            Kind::Peer(tests),
        )
    }

    fn unknown(&self, name: &str, why: &'static str) -> Expr {
        Expr::leaf(&self.place, camel(name), Kind::Unknown(why))
    }
}

/// The names in `[a][b]`.
fn brackets(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let names: Vec<String> = inner.split("][").map(str::to_owned).collect();
    names.iter().all(|name| !name.is_empty()).then_some(names)
}
