//! Istio's objects: `RequestAuthentication`, `AuthorizationPolicy`, and `VirtualService` for correlation.

use std::rc::Rc;

use super::Input;
use super::expr::{Expr, Kind};
use super::fields::{Fields, camel};
use super::istio_policy::Reader;
use super::listed::Report;
use super::providers::{Keys, Provider};
use super::routes::{Policy, Rule, Stage};
use super::select::{Object, Selection};
use crate::cli::CommandError;

/// What Istio's objects say.
pub(super) struct Istio {
    pub(super) providers: Vec<Provider>,
    pub(super) policy: Policy,
}

/// Reads the objects for one workload.
///
/// # Errors
/// [`CommandError`] if the objects are for different workloads, and none is selected.
pub(super) fn read(
    inputs: &[Input],
    selection: &Selection<'_>,
    report: &mut Report,
) -> Result<Istio, CommandError> {
    let objects: Vec<Object<'_>> = inputs.iter().filter_map(Object::of).collect();
    let objects = selection.applicable(objects, report)?;
    let mut providers = Vec::new();
    for object in objects
        .iter()
        .filter(|object| object.kind == "RequestAuthentication")
    {
        for (index, rule) in object.spec.list("jwt_rules").iter().enumerate() {
            let place: Rc<str> = format!("{} jwtRules[{index}]", object.place).into();
            providers.push(provider(&place, Fields::of(Some(rule)), report));
        }
    }
    let spaces: Vec<String> = providers
        .iter()
        .flat_map(|provider| provider.spaces.clone())
        .collect();
    let (mut allow, mut deny) = (Vec::new(), Vec::new());
    let mut allows = false;
    for object in objects
        .iter()
        .filter(|object| object.kind == "AuthorizationPolicy")
    {
        let action = match object.spec.get("action") {
            None => "ALLOW",
            Some(action) => action.as_str().unwrap_or("of another type"),
        };
        if object.is_dry_run() {
            report.list(
                &object.place,
                "istio.io/dry-run",
                "it is not enforced, and left out",
            );
            continue;
        }
        let mut rules = Vec::new();
        for (index, rule) in object.spec.list("rules").iter().enumerate() {
            let reader = Reader {
                place: format!("{} rules[{index}]", object.place).into(),
                namespace: object.namespace.unwrap_or_default(),
                spaces: &spaces,
                allows: action == "ALLOW",
                report,
            };
            rules.push(reader.rule(rule));
        }
        if object
            .spec
            .get("rules")
            .is_some_and(|rules| rules.as_array().is_none())
        {
            let place: Rc<str> = object.place.as_str().into();
            let expr = Expr::leaf(&place, "rules", Kind::Unknown("this is no list"));
            rules.push(Rule { place, expr });
        }
        match action {
            "ALLOW" => {
                allows = true;
                allow.extend(rules);
            }
            "DENY" => deny.extend(rules),
            "AUDIT" => report.list(
                &object.place,
                "action AUDIT",
                "it changes no decision, and is left out",
            ),
            other => {
                // Another filter decides, or the action is not known: as if it denied.
                let place: Rc<str> = object.place.as_str().into();
                let why = "another filter decides this, or the action is not known here";
                deny.extend(rules.into_iter().map(|rule| {
                    let undecided =
                        Expr::leaf(&place, format!("action {other}"), Kind::Unknown(why));
                    Rule {
                        expr: Expr::All(vec![rule.expr, undecided]),
                        ..rule
                    }
                }));
            }
        }
    }
    let mut stages = Vec::new();
    if !deny.is_empty() {
        stages.push(Stage {
            denies: true,
            rules: deny,
        });
    }
    if allows {
        stages.push(Stage {
            denies: false,
            rules: allow,
        });
    }
    Ok(Istio {
        providers,
        policy: Policy { stages },
    })
}

/// A rule of `RequestAuthentication`.
fn provider(place: &Rc<str>, fields: Fields<'_>, report: &mut Report) -> Provider {
    let issuer = fields.text("issuer").map(str::to_owned);
    for name in fields.names() {
        match name.as_str() {
            "issuer"
            | "audiences"
            | "jwks_uri"
            | "jwks"
            | "jwks_json"
            | "from_headers"
            | "forward_original_token"
            | "output_claim_to_headers"
            | "timeout"
            | "space_delimited_claims" => {}
            "from_params" | "from_cookies" => report.list(
                place,
                &camel(&name),
                "tokens are read from a header only; those in a parameter or cookie go on as they are, valid or not",
            ),
            "output_payload_to_header" => report.list(
                place,
                &camel(&name),
                "the filter does not forward the payload; identity.headers can forward claims",
            ),
            other => report.list(place, &camel(other), "this field is not known here"),
        }
    }
    let mut headers: Vec<(String, String)> = fields
        .list("from_headers")
        .iter()
        .map(|header| {
            let header = Fields::of(Some(header));
            let name = header.text("name").unwrap_or_default().to_ascii_lowercase();
            (name, header.text("prefix").unwrap_or_default().to_owned())
        })
        .collect();
    let elsewhere = fields.get("from_params").is_some() || fields.get("from_cookies").is_some();
    if headers.is_empty() && !elsewhere {
        headers.push(("authorization".to_owned(), "Bearer ".to_owned()));
        report.note("Tokens in the query parameter access_token, which jwt_authn reads by default, are neither read nor removed: they go on as they are, valid or not.");
    }
    let keys = match (
        fields.text("jwks").or_else(|| fields.text("jwks_json")),
        fields.text("jwks_uri"),
    ) {
        (Some(text), _) if !text.trim().is_empty() => Keys::Inline(text.to_owned()),
        (_, Some(url)) => remote(url, fields, report),
        _ => {
            Keys::Missing("istiod finds its keys by OpenID discovery; name its jwksUri".to_owned())
        }
    };
    let claims_to_headers = fields.list("output_claim_to_headers").iter().map(|entry| {
        let entry = Fields::of(Some(entry));
        let claim = entry.text("claim").unwrap_or_default();
        (
            entry.text("header").unwrap_or_default().to_owned(),
            claim.split('.').map(str::to_owned).collect(),
        )
    });
    Provider {
        place: Rc::clone(place),
        name: place.to_string(),
        issuer,
        audiences: fields.texts("audiences"),
        keys,
        headers,
        forward: fields.flag("forward_original_token"),
        leeway: 60,
        claims_to_headers: claims_to_headers.collect(),
        payload_key: "payload".to_owned(),
        spaces: fields.texts("space_delimited_claims"),
        max_lifetime: None,
    }
}

fn remote(url: &str, fields: Fields<'_>, report: &mut Report) -> Keys {
    let (default, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (443, rest),
        (None, Some(rest)) => (80, rest),
        _ => return Keys::Missing(format!("jwksUri {url:?} is no http or https URL")),
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(default)),
        None => (authority, default),
    };
    report.note("Keys from a server: istiod may fetch them itself, the filter needs the cluster, which a ServiceEntry for the host gives.");
    Keys::Remote {
        url: url.to_owned(),
        cluster: format!("outbound|{port}||{host}"),
        timeout: fields.text("timeout").and_then(duration_ms).or(Some(5_000)),
        refresh: None,
    }
}

/// A protobuf duration (`5s`, `0.5s`) or Go's (`500ms`, `1m`), in milliseconds.
pub(super) fn duration_ms(text: &str) -> Option<u64> {
    let split = text.find(|character: char| !character.is_ascii_digit() && character != '.')?;
    let (number, unit) = text.split_at_checked(split)?;
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    let thousandths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let part = thousandths.checked_mul(factor)?.checked_div(1_000)?;
    whole.checked_mul(factor)?.checked_add(part)
}
