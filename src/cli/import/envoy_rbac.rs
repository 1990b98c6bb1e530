//! Envoy's RBAC filter: `permissions` and `principals`.

use std::rc::Rc;

use super::expr::{Expr, Kind, PeerTest, ValueTest};
use super::fields::Fields;
use super::matcher;
use super::paths::PathTest;
use super::providers::Provider;
use super::routes::{Rule, Stage};
use crate::json::Json;

/// Which claims RBAC sees under a key of the metadata: whether the request's token was verified by a provider that
/// writes there.
pub(super) type Verified<'v> = dyn Fn(&str) -> Expr + 'v;

const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";

/// The stage of an RBAC filter; `None` if it enforces nothing.
pub(super) fn stage(
    place: &str,
    config: Fields<'_>,
    providers: &[Provider],
    verified: &Verified<'_>,
) -> Option<Stage> {
    let place_of = |what: &str| -> Rc<str> { format!("{place} {what}").into() };
    let denied = |what: &str, why| {
        let place = place_of(what);
        let expr = Expr::leaf(&place, what, Kind::Unknown(why));
        Some(Stage {
            denies: true,
            rules: vec![Rule { place, expr }],
        })
    };
    if config.get("matcher").is_some() {
        return denied("matcher", "a matching tree is not read here");
    }
    config.get("rules")?;
    let rules = config.object("rules");
    let denies = match rules.get("action") {
        None => false,
        Some(Json::String(action)) if action == "ALLOW" => false,
        Some(Json::String(action)) if action == "DENY" => true,
        Some(Json::String(action)) if action == "LOG" => return None,
        Some(Json::Integer(0)) => false,
        Some(Json::Integer(1)) => true,
        Some(Json::Integer(2)) => return None,
        Some(_) => return denied("action", "this action is not known here"),
    };
    if rules
        .get("policies")
        .is_some_and(|policies| policies.as_object().is_none())
    {
        return denied("policies", "this is no object");
    }
    let policies = rules.object("policies").members();
    let rules = policies
        .map(|(name, policy)| {
            let place = place_of(&format!("policies[{name}]"));
            let reader = Reader {
                place: &place,
                providers,
                verified,
            };
            let expr = reader.policy(Fields::of(Some(policy)));
            Rule { place, expr }
        })
        .collect();
    Some(Stage { denies, rules })
}

struct Reader<'r> {
    place: &'r Rc<str>,
    providers: &'r [Provider],
    verified: &'r Verified<'r>,
}

impl Reader<'_> {
    fn policy(&self, fields: Fields<'_>) -> Expr {
        let mut all = Vec::new();
        for name in ["permissions", "principals"] {
            all.push(match fields.get(name).and_then(Json::as_array) {
                Some(entries) => Expr::Any(entries.iter().map(|entry| self.rule(entry)).collect()),
                None => self.unknown(name, "this is no list"),
            });
        }
        for name in fields.names() {
            if name != "permissions" && name != "principals" {
                all.push(self.unknown(&name, "expressions are not read here"));
            }
        }
        Expr::All(all)
    }

    /// A permission or a principal: one field each.
    fn rule(&self, json: &Json) -> Expr {
        let fields = Fields::of(Some(json));
        let names = fields.names();
        let [name] = names.as_slice() else {
            return self.unknown("rule", "it must have exactly one field");
        };
        let value = fields.get(name);
        let inner = fields.object(name);
        let set = |list: &'static str| {
            inner
                .list(list)
                .iter()
                .map(|part| self.rule(part))
                .collect()
        };
        match (name.as_str(), value) {
            ("any", Some(Json::Bool(true))) => Expr::always(),
            ("and_rules", _) => Expr::All(set("rules")),
            ("or_rules", _) => Expr::Any(set("rules")),
            ("and_ids", _) => Expr::All(set("ids")),
            ("or_ids", _) => Expr::Any(set("ids")),
            ("not_rule" | "not_id", Some(part)) => self.rule(part).negate(),
            ("header", Some(part)) => matcher::header(self.place, part),
            ("url_path", Some(part)) => matcher::url_path(self.place, part),
            ("uri_template", _) => match inner.object("typed_config").text("path_template") {
                Some(template) => {
                    let kind = Kind::Path(PathTest::template(template));
                    Expr::leaf(self.place, format!("uri_template {template:?}"), kind)
                }
                None => self.unknown(name, "its template is not read here"),
            },
            ("metadata", _) => self.metadata(inner),
            ("sourced_metadata", _) => match inner.get("metadata_source") {
                None | Some(Json::Integer(0)) => self.metadata(inner.object("metadata_matcher")),
                Some(Json::String(source)) if source == "DYNAMIC" => {
                    self.metadata(inner.object("metadata_matcher"))
                }
                Some(_) => self.unknown(name, "the filter sees claims, not the metadata of routes"),
            },
            ("authenticated", _) => self.authenticated(inner),
            ("source_ip" | "direct_remote_ip" | "remote_ip" | "destination_ip", _) => {
                self.unknown(name, "the filter does not look at addresses")
            }
            ("destination_port" | "destination_port_range", _) => {
                self.unknown(name, "the filter does not look at the port of the listener")
            }
            ("requested_server_name", _) => {
                self.unknown(name, "the filter does not look at the SNI")
            }
            _ => self.unknown(name, "this field is not known here"),
        }
    }

    fn authenticated(&self, fields: Fields<'_>) -> Expr {
        let (test, shown) = match fields.get("principal_name") {
            None => (PeerTest::AnyTls, "authenticated".to_owned()),
            Some(_) => {
                let text = matcher::string(fields.object("principal_name"));
                let shown = format!("authenticated {}", matcher::show(&text));
                (PeerTest::Name(text), shown)
            }
        };
        Expr::leaf(self.place, shown, Kind::Peer(vec![test]))
    }

    fn metadata(&self, fields: Fields<'_>) -> Expr {
        let filter = fields.text("filter").unwrap_or_default();
        let keys: Option<Vec<String>> = fields
            .list("path")
            .iter()
            .map(|segment| Fields::of(Some(segment)).text("key").map(str::to_owned))
            .collect();
        let Some((payload, path)) = keys.as_deref().and_then(<[String]>::split_first) else {
            return self.unknown("metadata", "its path is not read here");
        };
        if filter != JWT_AUTHN || path.is_empty() || path.iter().any(String::is_empty) {
            return self.unknown(
                &format!("metadata of {filter}"),
                "the filter sees claims, not the metadata of other filters",
            );
        }
        let mut tests: Vec<ValueTest> = Vec::new();
        matcher::value(fields.get("value"), &mut tests);
        let shown = format!("claim {}", path.join("."));
        let spaces = self.providers.iter().any(|provider| {
            let is_split = |claim: &String| path == std::slice::from_ref(claim);
            provider.payload_key == *payload && provider.spaces.iter().any(is_split)
        });
        if spaces {
            // The claim is a list there, so that tests of strings never hold.
            tests.retain(|test| matches!(test, ValueTest::Member(_)));
        }
        let kind = Kind::Claim {
            path: path.to_vec(),
            tests,
            spaces,
        };
        let claim = Expr::All(vec![
            (self.verified)(payload),
            Expr::leaf(self.place, shown, kind),
        ]);
        if fields.flag("invert") {
            claim.negate()
        } else {
            claim
        }
    }

    fn unknown(&self, name: &str, why: &'static str) -> Expr {
        Expr::leaf(self.place, name, Kind::Unknown(why))
    }
}
