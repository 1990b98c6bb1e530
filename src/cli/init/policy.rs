//! The plugin config of a starter, as YAML and as JSON.
//!
//! Istio takes YAML. Envoy takes JSON as a string: it passes a `Struct` to the module as protobuf bytes, which
//! are no config.

use super::starter::{cut, replaced};
use super::values::Values;
use crate::cli::CommandError;

const YAML: &str = include_str!("templates/policy.yaml");
const JSON: &str = include_str!("templates/policy.json");

/// The config as YAML, with comments. The keys come from this cluster.
///
/// # Errors
/// As [`replaced`]
pub(super) fn yaml(values: &Values, cluster: &str) -> Result<String, CommandError> {
    // With what is around the values, so that no value is replaced by a later one.
    let mut text = replaced(
        YAML,
        "issuer: \"https://edge.example.com\"",
        &format!("issuer: \"{}\"", values.issuer),
    )?;
    text = replaced(
        &text,
        "audiences: [\"mesh.example.com\"]",
        &format!("audiences: [\"{}\"]", values.audience),
    )?;
    if let Some(url) = &values.jwks_url {
        let keys = format!(
            "    algorithms: [ES256, RS256]               # those that the edge signs with; remove the others
    keys:
      remote:                                # a JWKS, fetched again every 5 minutes
        url: \"{url}\"
        cluster: \"{cluster}\"
"
        );
        text = cut(&text, "    algorithms:", "    max_lifetime:", &keys)?;
    }
    if let Some(key) = &values.key {
        let keys = format!(
            "    algorithms: [ES256]
    keys:
      inline:                                # the public part of edge.jwk
        keys:
        - {}
",
            key.public
        );
        text = cut(&text, "    algorithms:", "    max_lifetime:", &keys)?;
    }
    if let Some(host) = &values.host {
        let hosts = format!("\n    hosts: [\"{host}\"]\n    path: /");
        text = replaced(&text, "\n    path: /", &hosts)?;
        text = replaced(
            &text,
            "request: {",
            &format!("request: {{host: \"{host}\", "),
        )?;
    }
    Ok(text)
}

/// The config as JSON. The keys come from the cluster `keys`.
///
/// # Errors
/// As [`replaced`]
pub(super) fn json(values: &Values) -> Result<String, CommandError> {
    let mut text = replaced(
        JSON,
        "\"issuer\": \"https://edge.example.com\"",
        &format!("\"issuer\": \"{}\"", values.issuer),
    )?;
    text = replaced(
        &text,
        "\"audiences\": [\"mesh.example.com\"]",
        &format!("\"audiences\": [\"{}\"]", values.audience),
    )?;
    if let Some(url) = &values.jwks_url {
        let keys = format!(
            "\"algorithms\": [\"ES256\", \"RS256\"],
      \"keys\": {{\"remote\": {{\"url\": \"{url}\", \"cluster\": \"keys\"}}}},
      "
        );
        text = cut(&text, "\"algorithms\":", "\"max_lifetime\":", &keys)?;
    }
    if let Some(host) = &values.host {
        let hosts = format!(", \"hosts\": [\"{host}\"], \"path\": \"/");
        text = replaced(&text, ", \"path\": \"/", &hosts)?;
        let request = format!("\"request\": {{\"host\": \"{host}\", ");
        text = replaced(&text, "\"request\": {", &request)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn both_forms_are_the_same_config() {
        for (url, host) in [
            (None, None),
            (Some("https://keys.example.com/jwks"), None),
            (None, Some("shop.example.com")),
            (Some("http://keys/jwks"), Some("shop.example.com:8443")),
        ] {
            let values = Values {
                issuer: "https://login.example.com".to_owned(),
                audience: "shop".to_owned(),
                jwks_url: url.map(|url| url.parse().unwrap()),
                key: None,
                image: None,
                host: host.map(str::to_owned),
            };
            let yaml: Value = serde_saphyr::from_str(&yaml(&values, "keys").unwrap()).unwrap();
            let json: Value = serde_json::from_str(&json(&values).unwrap()).unwrap();
            assert_eq!(yaml, json);
            let text = yaml.to_string();
            for value in [Some("https://login.example.com"), Some("shop"), url, host] {
                assert!(value.is_none_or(|value| text.contains(value)), "{text}");
            }
        }
    }
}
