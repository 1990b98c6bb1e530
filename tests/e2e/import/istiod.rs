//! What istiod makes of `RequestAuthentication` and `AuthorizationPolicy`: the native filters, in their order.
//!
//! Istio's own controller does not run here. This is written from its documentation and from what it is seen to
//! send to Envoy, apart from the importer, so that an error in one is not in both.

use serde_json::{Map, Value, json};

const JWT_AUTHN: &str =
    "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
const TEMPLATE: &str =
    "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";

/// The filters for the specs of the objects that apply to one workload.
pub fn filters(authentications: &[Value], policies: &[Value]) -> Vec<Value> {
    let rules: Vec<&Value> = authentications
        .iter()
        .flat_map(|spec| array(&spec["jwtRules"]))
        .collect();
    let mut filters = Vec::new();
    if !rules.is_empty() {
        filters.push(jwt_authn(&rules));
    }
    for action in ["DENY", "ALLOW"] {
        let of_action = |policy: &&Value| policy["action"].as_str().unwrap_or("ALLOW") == action;
        let policies: Vec<&Value> = policies.iter().filter(of_action).collect();
        if !policies.is_empty() {
            filters.push(rbac(action, &policies));
        }
    }
    filters
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn jwt_authn(rules: &[&Value]) -> Value {
    let mut providers = Map::new();
    let mut each = Vec::new();
    let mut names = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let name = format!("origins-{index}");
        let headers: Vec<Value> = array(&rule["fromHeaders"])
            .map(|header| json!({"name": header["name"], "value_prefix": header["prefix"].as_str().unwrap_or_default()}))
            .collect();
        providers.insert(
            name.clone(),
            json!({
                "issuer": rule["issuer"],
                "audiences": array(&rule["audiences"]).collect::<Vec<_>>(),
                "local_jwks": {"inline_string": rule["jwks"]},
                "from_headers": headers,
                "forward": rule["forwardOriginalToken"].as_bool().unwrap_or(false),
                "payload_in_metadata": "payload",
                "normalize_payload_in_metadata": {"space_delimited_claims": ["permission", "scope"]},
            }),
        );
        each.push(json!({"requires_any": {"requirements": [{"provider_name": name}, {"allow_missing": {}}]}}));
        names.push(json!({"provider_name": name}));
    }
    let requires = if each.len() == 1 {
        each.remove(0)
    } else {
        names.push(json!({"requires_all": {"requirements": each}}));
        json!({"requires_any": {"requirements": names}})
    };
    json!({"name": "envoy.filters.http.jwt_authn", "typed_config": {
        "@type": JWT_AUTHN,
        "providers": providers,
        "rules": [{"match": {"prefix": "/"}, "requires": requires}],
        "bypass_cors_preflight": true,
    }})
}

fn rbac(action: &str, policies: &[&Value]) -> Value {
    let mut all = Map::new();
    for (number, policy) in policies.iter().enumerate() {
        let rules: Vec<&Value> = array(&policy["rules"]).collect();
        for (index, rule) in rules.iter().enumerate() {
            all.insert(format!("policy-{number}-rule-{index}"), envoy_policy(rule));
        }
        if rules.is_empty() {
            let never = json!({
                "permissions": [{"not_rule": {"any": true}}],
                "principals": [{"not_id": {"any": true}}],
            });
            all.insert(format!("policy-{number}-never"), never);
        }
    }
    json!({"name": "envoy.filters.http.rbac", "typed_config": {
        "@type": RBAC,
        "rules": {"action": action, "policies": all},
    }})
}

fn envoy_policy(rule: &Value) -> Value {
    let (mut permissions, mut principals) = (Vec::new(), Vec::new());
    let mut conditions = Vec::new();
    for condition in array(&rule["when"]) {
        for (key, negated) in [("values", false), ("notValues", true)] {
            let values: Vec<&str> = array(&condition[key]).filter_map(Value::as_str).collect();
            if !values.is_empty() {
                let ids = attribute(condition["key"].as_str().unwrap(), &values);
                conditions.push(if negated { json!({"not_id": ids}) } else { ids });
            }
        }
    }
    for from in array(&rule["from"]) {
        let mut ids = conjunction(&from["source"], "not_id", |name, values| match name {
            "principals" => any_id(values, |value| authenticated(&spiffe(value))),
            "namespaces" => any_id(values, |value| {
                authenticated(&json!({"safe_regex": {"regex": format!(".*/ns/{value}/.*")}}))
            }),
            "requestPrincipals" => request_principals(values),
            other => panic!("{other} is not translated here"),
        });
        ids.extend(conditions.iter().cloned());
        principals.push(and_ids(ids));
    }
    if principals.is_empty() {
        principals.push(and_ids(conditions));
    }
    for to in array(&rule["to"]) {
        let rules = conjunction(&to["operation"], "not_rule", |name, values| {
            let rules: Vec<Value> = values.iter().map(|value| operation(name, value)).collect();
            json!({"or_rules": {"rules": rules}})
        });
        permissions.push(if rules.is_empty() {
            json!({"any": true})
        } else {
            json!({"and_rules": {"rules": rules}})
        });
    }
    if permissions.is_empty() {
        permissions.push(json!({"any": true}));
    }
    json!({"permissions": permissions, "principals": principals})
}

fn conjunction(object: &Value, not: &str, of: impl Fn(&str, &[&str]) -> Value) -> Vec<Value> {
    let members = object.as_object().into_iter().flatten();
    members
        .map(|(name, values)| {
            let values: Vec<&str> = array(values).filter_map(Value::as_str).collect();
            match name.strip_prefix("not") {
                Some(rest) => {
                    let mut name = rest.to_owned();
                    name[..1].make_ascii_lowercase();
                    json!({ not: of(&name, &values) })
                }
                None => of(name, &values),
            }
        })
        .collect()
}

fn and_ids(ids: Vec<Value>) -> Value {
    if ids.is_empty() {
        json!({"any": true})
    } else {
        json!({"and_ids": {"ids": ids}})
    }
}

fn any_id(values: &[&str], of: impl Fn(&str) -> Value) -> Value {
    let ids: Vec<Value> = values.iter().map(|value| of(value)).collect();
    json!({"or_ids": {"ids": ids}})
}

fn operation(name: &str, value: &str) -> Value {
    let header = |name: &str, ignore_case: bool| {
        if value == "*" {
            return json!({"header": {"name": name, "present_match": true}});
        }
        let mut text = text(value);
        if ignore_case {
            text["ignore_case"] = json!(true);
        }
        json!({"header": {"name": name, "string_match": text}})
    };
    match name {
        "hosts" => header(":authority", true),
        "methods" => header(":method", false),
        "paths" if value.contains("{*}") || value.contains("{**}") => json!({"uri_template": {
            "name": "uri-template",
            "typed_config": {
                "@type": TEMPLATE,
                "path_template": value.replace("{*}", "*").replace("{**}", "**"),
            },
        }}),
        "paths" => json!({"url_path": {"path": text(value)}}),
        other => panic!("{other} is not translated here"),
    }
}

fn attribute(key: &str, values: &[&str]) -> Value {
    if let Some(name) = key.strip_prefix("request.headers[") {
        let name = name.trim_end_matches(']');
        return any_id(values, |value| match value {
            "*" => json!({"header": {"name": name, "present_match": true}}),
            value => json!({"header": {"name": name, "string_match": text(value)}}),
        });
    }
    if let Some(names) = key.strip_prefix("request.auth.claims[") {
        let names: Vec<&str> = names.trim_end_matches(']').split("][").collect();
        return claim(&names, values);
    }
    match key {
        "request.auth.audiences" => claim(&["aud"], values),
        "request.auth.presenter" => claim(&["azp"], values),
        "request.auth.principal" => request_principals(values),
        "source.principal" => any_id(values, |value| authenticated(&spiffe(value))),
        "source.namespace" => any_id(values, |value| {
            authenticated(&json!({"safe_regex": {"regex": format!(".*/ns/{value}/.*")}}))
        }),
        other => panic!("{other} is not translated here"),
    }
}

/// A string, or a member of a list.
fn claim(names: &[&str], values: &[&str]) -> Value {
    let texts: Vec<Value> = values
        .iter()
        .map(|value| json!({"string_match": text(value)}))
        .collect();
    let one = if texts.len() == 1 {
        texts[0].clone()
    } else {
        json!({"or_match": {"value_matchers": texts}})
    };
    metadata(
        names,
        &json!({"or_match": {"value_matchers": [{"list_match": {"one_of": one}}, one]}}),
    )
}

fn metadata(names: &[&str], value: &Value) -> Value {
    let path: Vec<Value> = std::iter::once(&"payload")
        .chain(names)
        .map(|name| json!({"key": name}))
        .collect();
    json!({"metadata": {"filter": "envoy.filters.http.jwt_authn", "path": path, "value": value}})
}

fn request_principals(values: &[&str]) -> Value {
    any_id(values, |value| {
        let any = json!({"safe_regex": {"regex": ".+"}});
        let (iss, sub) = match value.rsplit_once('/') {
            _ if value == "*" => (any.clone(), any),
            Some((iss, sub)) => (text(iss), text(sub)),
            None if value.starts_with('*') => (any, text(value)),
            None if value.ends_with('*') => (text(value), any),
            None => (json!({"exact": value}), json!({"exact": ""})),
        };
        let claim = |name, text| metadata(&[name], &json!({"string_match": text}));
        json!({"and_ids": {"ids": [claim("iss", iss), claim("sub", sub)]}})
    })
}

fn authenticated(name: &Value) -> Value {
    json!({"authenticated": {"principal_name": name}})
}

fn spiffe(value: &str) -> Value {
    match value {
        "*" => json!({"safe_regex": {"regex": ".+"}}),
        value if value.starts_with('*') => {
            json!({"safe_regex": {"regex": format!("spiffe://.*{}", &value[1..])}})
        }
        value => text(&format!("spiffe://{value}")),
    }
}

fn text(value: &str) -> Value {
    if value == "*" {
        json!({"safe_regex": {"regex": ".+"}})
    } else if let Some(suffix) = value.strip_prefix('*') {
        json!({"suffix": suffix})
    } else if let Some(prefix) = value.strip_suffix('*') {
        json!({"prefix": prefix})
    } else {
        json!({"exact": value})
    }
}
