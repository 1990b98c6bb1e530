//! `edge-claims schema`: the JSON Schema of the plugin config, for the completion and checks of an editor.
//!
//! `docs/config.schema.json` is the one source. For the Istio resources, it is put in the place of
//! `pluginConfig` in the schema of the resource's CRD.

mod admission;
mod cel;

use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::{Answer, CommandError};

/// The schema of the plugin config.
const CONFIG: &str = include_str!("../../../docs/config.schema.json");

/// The schema of Istio's CRD `WasmPlugin`.
const WASM_PLUGIN: &str = include_str!("../../../istio/testdata/wasmplugin.schema.json");

/// The schema of Istio's CRD `TrafficExtension`.
const TRAFFIC_EXTENSION: &str =
    include_str!("../../../istio/testdata/trafficextension.schema.json");

/// Print the JSON Schema of the plugin config.
///
/// With it, an editor completes the keys, shows what they mean, and underlines mistakes. It knows the shape of
/// the config: keys, types, words and bounds. It does not know what `edge-claims check` also finds: references
/// between parts of the config, ties between routes, keys that verify nothing, or tests that fail.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// What the schema is for: what the file in the editor is, or the API server
    #[arg(long = "for", value_name = "KIND", value_enum, default_value_t = Kind::Config)]
    kind: Kind,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims schema > config.schema.json
  edge-claims schema --for wasmplugin > wasmplugin.schema.json
  edge-claims schema --for admission-policy | kubectl apply -f -

The first line of the file in the editor then names the schema:
  # yaml-language-server: $schema=wasmplugin.schema.json

Exit codes:
  0  done
  2  wrong usage, or the schema cannot be written";

/// What a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// The plugin config itself
    Config,
    /// Istio's WasmPlugin, with the config in spec.pluginConfig
    #[value(name = "wasmplugin")]
    WasmPlugin,
    /// Istio's TrafficExtension, with the config in spec.wasm.pluginConfig
    #[value(name = "trafficextension")]
    TrafficExtension,
    /// A ValidatingAdmissionPolicy (Kubernetes 1.30): the API server refuses plugins whose config breaks the schema
    AdmissionPolicy,
    /// The values of the Helm chart, with the config in config
    #[value(name = "helm")]
    Helm,
}

/// Prints the schema.
///
/// # Errors
/// A [`CommandError`].
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    output.write_all(text(options.kind)?.as_bytes())?;
    Ok(Answer::Yes)
}

/// The schema as text, with a line break at its end.
///
/// # Errors
/// [`CommandError::Content`] if a schema of this program is broken.
pub(super) fn text(kind: Kind) -> Result<String, CommandError> {
    let broken = |problem: serde_json::Error| CommandError::Content {
        name: "the schema in this program".to_owned(),
        problem: problem.to_string(),
    };
    let schema = match kind {
        Kind::Config => return Ok(CONFIG.to_owned()),
        Kind::WasmPlugin => resource("WasmPlugin", WASM_PLUGIN, &["spec"]),
        Kind::TrafficExtension => {
            resource("TrafficExtension", TRAFFIC_EXTENSION, &["spec", "wasm"])
        }
        Kind::AdmissionPolicy => {
            let schema: Value = serde_json::from_str(CONFIG).map_err(broken)?;
            return Ok(admission::policy(&schema));
        }
        Kind::Helm => helm(),
    };
    let text = schema.and_then(|schema| serde_json::to_string_pretty(&schema));
    text.map(|text| text + "\n").map_err(broken)
}

/// The schema of the Helm chart's values, `values.schema.json` of the chart.
fn helm() -> Result<Value, serde_json::Error> {
    let (dialect, definitions) = config()?;
    Ok(json!({
        "$schema": dialect,
        "title": "values of the Helm chart edge-claims",
        "description": "`edge-claims schema --for helm` prints this schema.",
        "type": "object",
        "additionalProperties": false,
        "required": ["kind", "image", "place", "config"],
        "properties": {
            "kind": {"enum": ["WasmPlugin", "TrafficExtension"]},
            "image": {
                "type": "object",
                "additionalProperties": false,
                "required": ["url", "sha256"],
                "properties": {
                    "url": {"type": "string", "pattern": "^oci://[^/]+/."},
                    "sha256": {
                        "description": "The digest of the image's manifest, without `sha256:`.",
                        "type": "string",
                        "pattern": "^[a-f0-9]{64}$"
                    },
                    "pullPolicy": {"enum": ["IfNotPresent", "Always"]},
                    "pullSecret": {"type": "string", "maxLength": 253}
                }
            },
            "place": {"enum": ["gateway", "sidecar", "waypoint"]},
            "matchLabels": {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": 63}
            },
            "waypoint": {"type": "string", "minLength": 1, "maxLength": 253},
            "keyServer": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "host": {"type": "string"},
                    "port": {"type": "integer", "minimum": 1, "maximum": 65535}
                }
            },
            // Helm adds it where the chart is part of another one.
            "global": {"type": "object"},
            "config": {"$ref": "#/$defs/config"}
        },
        // Without labels, the filter would be in every proxy of the namespace.
        "if": {"properties": {"place": {"const": "sidecar"}}},
        "then": {
            "required": ["matchLabels"],
            "properties": {"matchLabels": {"minProperties": 1}}
        },
        "$defs": definitions
    }))
}

/// The dialect of the plugin config's schema, and its definitions, with the config itself as `config`.
fn config() -> Result<(Value, Value), serde_json::Error> {
    let mut config: Map<String, Value> = serde_json::from_str(CONFIG)?;
    let dialect = config.remove("$schema").unwrap_or_default();
    // References such as `#/$defs/claim` stay valid, because the definitions stay at the root.
    let mut definitions = config.remove("$defs").unwrap_or_default();
    if let Some(definitions) = definitions.as_object_mut() {
        definitions.insert("config".to_owned(), Value::Object(config));
    }
    Ok((dialect, definitions))
}

/// The schema of a resource whose `pluginConfig`, in the object at `path`, is the plugin config.
fn resource(kind: &str, crd: &str, path: &[&str]) -> Result<Value, serde_json::Error> {
    let mut schema: Value = serde_json::from_str(crd)?;
    close(&mut schema);
    let (dialect, definitions) = config()?;
    let mut place = &mut schema;
    for name in path {
        require(place, name);
        place = member(member(place, "properties"), name);
    }
    // Without it, the filter gets an empty config, which it refuses.
    require(place, "pluginConfig");
    *member(member(place, "properties"), "pluginConfig") = json!({"$ref": "#/$defs/config"});
    let properties = member(&mut schema, "properties");
    *member(properties, "apiVersion") = json!({"const": "extensions.istio.io/v1alpha1"});
    *member(properties, "kind") = json!({ "const": kind });
    for open in ["metadata", "status"] {
        *member(properties, open) = json!({"type": "object"});
    }
    for name in ["apiVersion", "kind", "metadata"] {
        require(&mut schema, name);
    }
    *member(&mut schema, "title") = json!(format!("{kind} of edge-claims"));
    *member(&mut schema, "$schema") = dialect;
    *member(&mut schema, "$defs") = definitions;
    Ok(schema)
}

/// A member of an object, added if it is missing. Anything else becomes an object.
fn member<'v>(value: &'v mut Value, name: &str) -> &'v mut Value {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(members) => members.entry(name).or_insert(Value::Null),
        other => other,
    }
}

/// Adds a name to the required ones of an object schema.
fn require(schema: &mut Value, name: &str) {
    let required = member(schema, "required");
    match required.as_array_mut() {
        Some(names) if names.iter().any(|other| other == name) => {}
        Some(names) => names.push(json!(name)),
        None => *required = json!([name]),
    }
}

/// Makes of the schema of a CRD (OpenAPI 3.0) a JSON Schema that refuses what the API server does: unknown
/// keys are errors, as with `kubectl apply --validate=strict`.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_open = members.contains_key("x-kubernetes-preserve-unknown-fields");
            members.retain(|name, _| !name.starts_with("x-kubernetes-"));
            if members.remove("nullable") == Some(json!(true))
                && let Some(of) = members.get_mut("type")
            {
                *of = json!([of, "null"]);
            }
            let has_keys = members.get("properties").is_some_and(Value::is_object)
                && members.get("type") == Some(&json!("object"));
            if has_keys && !is_open && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
