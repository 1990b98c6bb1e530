//! Envoy's `jwt_authn`: providers, and which of them a request needs.

use std::rc::Rc;

use super::envoy_provider::read_provider;
use super::expr::{Expr, Kind};
use super::fields::Fields;
use super::listed::Report;
use super::matcher;
use super::paths::PathTest;
use super::providers::Provider;
use super::routes::{Rule, Stage};
use super::text::{Text, TextRule};
use crate::json::Json;

/// The filter's config.
pub(super) struct JwtAuthn<'j> {
    place: String,
    config: Fields<'j>,
}

impl<'j> JwtAuthn<'j> {
    pub(super) const fn new(place: String, config: Fields<'j>) -> Self {
        Self { place, config }
    }

    pub(super) fn providers(&self, report: &mut Report) -> Vec<Provider> {
        let providers = self.config.object("providers").members();
        providers
            .map(|(name, provider)| {
                let place: Rc<str> = format!("{} providers[{name}]", self.place).into();
                read_provider(&place, name, Fields::of(Some(provider)), report)
            })
            .collect()
    }

    /// What a request needs, rule by rule: the first rule that matches counts.
    pub(super) fn stage(&self, known: &[Provider]) -> Stage {
        let requirement = |place: &Rc<str>, rule: Option<Fields<'_>>| match rule {
            Some(rule) => self.requirement(place, rule, known),
            None => Expr::always(),
        };
        let mut rules = vec![Rule {
            place: self.place.as_str().into(),
            expr: self.first_match(&requirement),
        }];
        for name in self.config.names() {
            let why = match name.as_str() {
                "filter_state_rules" => "requirements from filter state are not read here",
                _ => continue,
            };
            {
                let place: Rc<str> = self.place.as_str().into();
                let unknown = Kind::Unknown(why);
                let expr = Expr::All(vec![
                    rules.remove(0).expr,
                    Expr::leaf(&place, &*name, unknown),
                ]);
                rules.push(Rule { place, expr });
            }
        }
        Stage {
            denies: false,
            rules,
        }
    }

    /// Whether a provider that writes the claims under this key verified the request's token.
    pub(super) fn verified(&self, key: &str, known: &[Provider]) -> Expr {
        let requirement = |place: &Rc<str>, rule: Option<Fields<'_>>| {
            let mut names = Vec::new();
            if let Some(rule) = rule {
                self.providers_of(rule, &mut names);
            }
            let all = names.is_empty() && rule.is_some_and(|rule| self.verifies_all(rule));
            let issuers: Vec<String> = known
                .iter()
                .filter(|provider| {
                    provider.payload_key == key && (all || names.contains(&provider.name))
                })
                .filter_map(|provider| provider.issuer.clone())
                .collect();
            if issuers.is_empty() {
                Expr::never()
            } else if issuers.len() == known.len() {
                Expr::leaf(place, "a verified token", Kind::Token)
            } else {
                let shown = format!("a token of {}", issuers.join(", "));
                Expr::leaf(place, shown, Kind::Issuers(issuers))
            }
        };
        self.first_match(&requirement)
    }

    /// The expression of the first rule that matches; `None` stands for a request that no rule matches.
    fn first_match(&self, of: &dyn Fn(&Rc<str>, Option<Fields<'_>>) -> Expr) -> Expr {
        let place: Rc<str> = self.place.as_str().into();
        let mut result = of(&place, None);
        for (index, rule) in self.config.list("rules").iter().enumerate().rev() {
            let place: Rc<str> = format!("{} rules[{index}]", self.place).into();
            let fields = Fields::of(Some(rule));
            let matches = route_match(&place, fields.object("match"));
            let here = of(&place, Some(fields));
            result = Expr::Any(vec![
                Expr::All(vec![matches.clone(), here]),
                Expr::All(vec![matches.negate(), result]),
            ]);
        }
        result
    }

    fn requirement(&self, place: &Rc<str>, fields: Fields<'_>, known: &[Provider]) -> Expr {
        if let Some(name) = fields.text("requirement_name") {
            let named = self.config.object("requirement_map").get(name);
            return match named {
                Some(named) => required(place, Some(named), known),
                None => Expr::leaf(
                    place,
                    format!("requirement_name {name:?}"),
                    Kind::Unknown("there is no such requirement"),
                ),
            };
        }
        required(place, fields.get("requires"), known)
    }

    /// The providers that a rule names.
    fn providers_of(&self, rule: Fields<'_>, names: &mut Vec<String>) {
        let named = rule
            .text("requirement_name")
            .and_then(|name| self.config.object("requirement_map").get(name));
        collect_providers(named.or_else(|| rule.get("requires")), names);
    }

    /// Whether the rule takes a token of any provider: `allow_missing` or `allow_missing_or_failed` alone.
    fn verifies_all(&self, rule: Fields<'_>) -> bool {
        let named = rule
            .text("requirement_name")
            .and_then(|name| self.config.object("requirement_map").get(name));
        let names = Fields::of(named.or_else(|| rule.get("requires"))).names();
        matches!(names.as_slice(), [only] if only == "allow_missing" || only == "allow_missing_or_failed")
    }
}

fn collect_providers(requirement: Option<&Json>, names: &mut Vec<String>) {
    let fields = Fields::of(requirement);
    names.extend(fields.text("provider_name").map(str::to_owned));
    names.extend(
        fields
            .object("provider_and_audiences")
            .text("provider_name")
            .map(str::to_owned),
    );
    for list in ["requires_any", "requires_all"] {
        for part in fields.object(list).list("requirements") {
            collect_providers(Some(part), names);
        }
    }
}

/// A `JwtRequirement`; none requires nothing.
fn required(place: &Rc<str>, requirement: Option<&Json>, known: &[Provider]) -> Expr {
    let fields = Fields::of(requirement);
    let names = fields.names();
    let name = match names.as_slice() {
        [] => return Expr::always(),
        [only] => only.as_str(),
        _ => {
            return Expr::leaf(
                place,
                "requires",
                Kind::Unknown("it must have exactly one field"),
            );
        }
    };
    let provider = |name: &str| {
        let issuer = known
            .iter()
            .find(|provider| provider.name == name)
            .and_then(|provider| provider.issuer.clone());
        match issuer {
            Some(_) if known.len() == 1 => {
                Expr::leaf(place, format!("provider {name}"), Kind::Token)
            }
            Some(issuer) => Expr::leaf(
                place,
                format!("provider {name}"),
                Kind::Issuers(vec![issuer]),
            ),
            None => Expr::leaf(
                place,
                format!("provider {name}"),
                Kind::Unknown("this provider could not be imported"),
            ),
        }
    };
    let parts = |list: &str| {
        let requirements = fields.object(list).list("requirements");
        requirements
            .iter()
            .map(|part| required(place, Some(part), known))
            .collect::<Vec<_>>()
    };
    match name {
        "provider_name" => provider(fields.text(name).unwrap_or_default()),
        "provider_and_audiences" => {
            let inner = fields.object(name);
            let audiences = inner.texts("audiences");
            let token = provider(inner.text("provider_name").unwrap_or_default());
            if audiences.is_empty() {
                return token;
            }
            let exact = || audiences.iter().map(|audience| Text::exact(audience));
            let texts = exact().map(super::expr::ValueTest::Text);
            let tests = texts
                .chain(exact().map(super::expr::ValueTest::Member))
                .collect();
            let kind = Kind::Claim {
                path: vec!["aud".to_owned()],
                tests,
                spaces: false,
            };
            Expr::All(vec![token, Expr::leaf(place, "audiences", kind)])
        }
        "requires_any" => Expr::Any(parts(name)),
        "requires_all" => Expr::All(parts(name)),
        "allow_missing" | "allow_missing_or_failed" => Expr::always(),
        _ => Expr::leaf(
            place,
            name,
            Kind::Unknown("this requirement is not known here"),
        ),
    }
}

/// A `RouteMatch`.
fn route_match(place: &Rc<str>, fields: Fields<'_>) -> Expr {
    let ignore_case = fields.get("case_sensitive") == Some(&Json::Bool(false));
    let path = |name: &str, rule: TextRule| {
        matcher::path(place, name, &Text::new(rule).ignoring_case(ignore_case))
    };
    let mut all = Vec::new();
    for name in fields.names() {
        let text = || fields.text(&name).unwrap_or_default().to_owned();
        match name.as_str() {
            "case_sensitive" => {}
            "prefix" => all.push(path(&name, TextRule::Prefix(text()))),
            "path" => all.push(path(&name, TextRule::Exact(text()))),
            "path_separated_prefix" => {
                let text = text();
                all.push(Expr::Any(vec![
                    path(&name, TextRule::Exact(text.clone())),
                    path(&name, TextRule::Prefix(format!("{text}/"))),
                ]));
            }
            "safe_regex" => {
                let regex = Text::regex(fields.object(&name).text("regex").unwrap_or_default());
                all.push(matcher::path(place, &name, &regex));
            }
            "path_match_policy" => {
                let template = fields
                    .object(&name)
                    .object("typed_config")
                    .text("path_template");
                let kind = match template {
                    Some(template) => Kind::Path(PathTest::template(template)),
                    None => Kind::Unknown("its template is not read here"),
                };
                all.push(Expr::leaf(place, &*name, kind));
            }
            "headers" => {
                all.extend(
                    fields
                        .list(&name)
                        .iter()
                        .map(|header| matcher::header(place, header)),
                );
            }
            _ => all.push(Expr::leaf(
                place,
                &*name,
                Kind::Unknown("this match is not known here"),
            )),
        }
    }
    Expr::All(all)
}
