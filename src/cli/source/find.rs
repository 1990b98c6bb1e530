//! Finds plugin configs in documents.

use std::ops::Range;
use std::rc::Rc;

use super::spans::Spans;
use super::{Document, Source, SourceError, json};
use crate::config::error::ConfigErrors;
use crate::config::path::{ConfigPath, PathStep};
use crate::config::{self, Config};
use crate::json::{Json, Object};

/// The type of Envoy's Wasm filter: `envoy.extensions.filters.http.wasm.v3.Wasm`.
const WASM_FILTER: &str = ".filters.http.wasm.v3.Wasm";

/// A plugin config, and where it was found.
#[derive(Debug)]
pub(in crate::cli) struct FoundConfig {
    /// The file.
    pub(in crate::cli) source: Rc<Source>,
    /// What it was found in, such as `WasmPlugin istio-ingress/edge-claims-gateway`; empty if the file is the
    /// config.
    pub(in crate::cli) owner: String,
    /// The config.
    pub(in crate::cli) json: Json,
    /// Where its values are in the file.
    pub(in crate::cli) spans: Spans,
    /// Whether it is a `google.protobuf.Struct` in an Envoy config, which reaches the filter as protobuf bytes.
    pub(in crate::cli) is_struct: bool,
    /// Where the resource says that requests pass without the filter if it fails.
    pub(in crate::cli) fail_open: Option<Range<usize>>,
}

impl FoundConfig {
    /// The file, and what the config was found in.
    pub(in crate::cli) fn title(&self) -> String {
        if self.owner.is_empty() {
            self.source.name.clone()
        } else {
            format!("{} ({})", self.source.name, self.owner)
        }
    }

    /// The value at a path.
    pub(in crate::cli) fn value_at(&self, path: &ConfigPath) -> Option<&Json> {
        let mut value = &self.json;
        for step in path.steps() {
            value = match step {
                PathStep::Key(name) => value.as_object()?.get(name)?,
                PathStep::Index(index) => value.as_array()?.get(*index)?,
            };
        }
        Some(value)
    }

    /// Loads the config as the filter does.
    ///
    /// # Errors
    /// All errors in the config.
    pub(in crate::cli) fn load(&self) -> Result<Config, ConfigErrors> {
        config::load_json(&self.json)
    }
}

/// The plugin configs in the documents of a file.
///
/// # Errors
/// A [`SourceError`] if there is none, or one is a string that is not JSON.
pub(in crate::cli) fn configs_in(
    documents: Vec<Document>,
    source: &Rc<Source>,
) -> Result<Vec<FoundConfig>, SourceError> {
    let is_only = documents.len() == 1;
    let mut finder = Finder {
        source,
        found: Vec::new(),
        kinds: Vec::new(),
    };
    for document in documents {
        let Some(object) = document.json.as_object() else {
            return Err(SourceError::new(
                source,
                document.spans.value.start,
                format!(
                    "is {}, must be an object: a plugin config, or what holds one",
                    document.json.type_name()
                ),
            ));
        };
        let is_resource = text(object, "kind").is_some() && object.get("apiVersion").is_some();
        if is_resource {
            finder.resource(object, &document.spans)?;
        } else if is_bare(object) || (is_only && !looks_like_envoy(object)) {
            finder.push(String::new(), &document.json, &document.spans);
        } else {
            finder.envoy(&document.json, &document.spans, &mut Vec::new())?;
        }
    }
    if finder.found.is_empty() {
        let seen = match finder.kinds.as_slice() {
            [] => String::new(),
            kinds => format!(" (found {})", kinds.join(", ")),
        };
        return Err(SourceError::new(
            source,
            0,
            format!(
                "no plugin config in it{seen}; expected a config with `claims` and `rbac`, a WasmPlugin, a \
                 TrafficExtension, an EnvoyExtensionPolicy, or an Envoy config with a Wasm filter"
            ),
        ));
    }
    Ok(finder.found)
}

struct Finder<'s> {
    source: &'s Rc<Source>,
    found: Vec<FoundConfig>,
    /// The kinds of resources without a config.
    kinds: Vec<String>,
}

impl Finder<'_> {
    fn push(&mut self, owner: String, json: &Json, spans: &Spans) {
        self.found.push(FoundConfig {
            source: Rc::clone(self.source),
            owner,
            json: json.clone(),
            spans: spans.clone(),
            is_struct: false,
            fail_open: None,
        });
    }

    /// Notes where the resource around the last configs lets requests pass if the filter fails.
    fn note_fail_open(&mut self, before: usize, object: &Object, spans: &Spans, key: &str) {
        let is_open = match object.get(key) {
            Some(Json::String(word)) => *word == "FAIL_OPEN",
            Some(value) => *value == Json::Bool(true),
            None => false,
        };
        if let (true, Some(place)) = (is_open, spans.member(key)) {
            for found in self.found.iter_mut().skip(before) {
                found.fail_open = Some(place.value.clone());
            }
        }
    }

    /// A Kubernetes resource, or a `List` of them.
    fn resource(&mut self, object: &Object, spans: &Spans) -> Result<(), SourceError> {
        let kind = text(object, "kind").unwrap_or_default();
        if kind == "List" || kind.ends_with("List") {
            let items = object.get("items").and_then(Json::as_array);
            for (index, item) in items.unwrap_or_default().iter().enumerate() {
                let place = spans.member("items").and_then(|items| items.element(index));
                if let (Some(item), Some(place)) = (item.as_object(), place) {
                    self.resource(item, place)?;
                }
            }
            return Ok(());
        }
        let owner = owner(kind, object);
        let before = self.found.len();
        let spec = child(object, spans, "spec");
        match (kind, spec) {
            ("WasmPlugin", Some((spec, spans))) => self.plugin(&owner, spec, spans),
            ("TrafficExtension", Some((spec, spans))) => {
                if let Some((wasm, spans)) = child(spec, spans, "wasm") {
                    self.plugin(&owner, wasm, spans);
                }
            }
            ("EnvoyExtensionPolicy", Some((spec, spans))) => {
                let items = spec.get("wasm").and_then(Json::as_array);
                for (index, item) in items.unwrap_or_default().iter().enumerate() {
                    let place = spans.member("wasm").and_then(|wasm| wasm.element(index));
                    let wasm = item.as_object().zip(place);
                    let config = wasm.and_then(|(wasm, place)| {
                        Some((wasm.get("config")?, place.member("config")?))
                    });
                    if let Some((config, place)) = config
                        && config.as_object().is_some_and(is_bare)
                    {
                        self.push(owner.clone(), config, place);
                    }
                }
            }
            // An EnvoyFilter, for example.
            (_, Some((_, place))) => {
                if let Some(json) = object.get("spec") {
                    self.envoy(json, place, &mut vec![owner])?;
                }
            }
            _ => {}
        }
        if self.found.len() == before && !self.kinds.iter().any(|known| known == kind) {
            self.kinds.push(kind.to_owned());
        }
        Ok(())
    }

    /// The `pluginConfig` of an Istio plugin. A plugin without one, or with that of another program, is not ours
    /// unless its URL names this filter.
    fn plugin(&mut self, owner: &str, spec: &Object, spans: &Spans) {
        let before = self.found.len();
        self.plugin_config(owner, spec, spans);
        self.note_fail_open(before, spec, spans, "failStrategy");
    }

    fn plugin_config(&mut self, owner: &str, spec: &Object, spans: &Spans) {
        let url = text(spec, "url").unwrap_or_default();
        let names_us = url.contains("edge-claims") || url.contains("edge_claims");
        match (spec.get("pluginConfig"), spans.member("pluginConfig")) {
            (Some(config), Some(place)) if names_us || config.as_object().is_some_and(is_bare) => {
                self.push(owner.to_owned(), config, place);
            }
            (Some(_), Some(_)) => {}
            // Istio sends an empty config, which the filter refuses.
            _ if names_us => {
                self.push(owner.to_owned(), &Json::Object(Object::default()), spans);
            }
            _ => {}
        }
    }

    /// Searches an Envoy config for Wasm filters. `names` are the names on the way down.
    fn envoy(
        &mut self,
        json: &Json,
        spans: &Spans,
        names: &mut Vec<String>,
    ) -> Result<(), SourceError> {
        match json {
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let Some(place) = spans.element(index) {
                        self.envoy(item, place, names)?;
                    }
                }
            }
            Json::Object(object) => {
                let name = text(object, "name").map(str::to_owned);
                let depth = names.len();
                names.extend(name);
                let is_wasm =
                    |key| text(object, key).is_some_and(|kind| kind.ends_with(WASM_FILTER));
                if is_wasm("@type") || is_wasm("type_url") {
                    self.wasm_filter(object, spans, names)?;
                } else {
                    for (name, value) in object.iter() {
                        if let Some(place) = spans.member(name) {
                            self.envoy(value, place, names)?;
                        }
                    }
                }
                names.truncate(depth);
            }
            _ => {}
        }
        Ok(())
    }

    /// `config.configuration` of a Wasm filter: `StringValue` or `Struct`; `value.config` within a `TypedStruct`.
    fn wasm_filter(
        &mut self,
        object: &Object,
        spans: &Spans,
        names: &[String],
    ) -> Result<(), SourceError> {
        let (object, spans) = child(object, spans, "value").unwrap_or((object, spans));
        let Some((config, spans)) = child(object, spans, "config") else {
            return Ok(());
        };
        let before = self.found.len();
        self.configuration(config, spans, names)?;
        self.note_fail_open(before, config, spans, "failure_policy");
        self.note_fail_open(before, config, spans, "fail_open");
        Ok(())
    }

    fn configuration(
        &mut self,
        config: &Object,
        spans: &Spans,
        names: &[String],
    ) -> Result<(), SourceError> {
        let Some((configuration, spans)) = child(config, spans, "configuration") else {
            return Ok(());
        };
        let owner = format!("Wasm filter {}", names.join(" / "));
        let (Some(value), Some(place)) = (configuration.get("value"), spans.member("value")) else {
            return Ok(());
        };
        match value {
            Json::String(text) => {
                let offset = |inner: usize| embedded_offset(&self.source.text, place, text, inner);
                match json::parse(text) {
                    Ok((json, inner)) => {
                        if json.as_object().is_some_and(is_bare) {
                            let spans = inner.map(&offset);
                            self.push(owner, &json, &spans);
                        }
                        Ok(())
                    }
                    Err(error) if text.contains("claims") || text.contains("rbac") => {
                        let problem = format!("{owner}: {}", error.problem);
                        Err(SourceError::new(self.source, offset(error.offset), problem))
                    }
                    Err(_) => Ok(()),
                }
            }
            value => {
                if value.as_object().is_some_and(is_bare) {
                    self.push(owner, value, place);
                    if let Some(found) = self.found.last_mut() {
                        found.is_struct = true;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Where a byte of a string value is in the file. Exact if the string is written line by line, or without
/// escapes; else the beginning of the string.
fn embedded_offset(outer: &str, place: &Spans, inner: &str, offset: usize) -> usize {
    let start = place.value.start;
    let Some(written) = outer.get(place.value.clone()) else {
        return start;
    };
    if let Some(at) = written.find(inner) {
        return start.saturating_add(at).saturating_add(offset);
    }
    // A block scalar: each line of the string is the end of a line of the file.
    let before = inner.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().map_or(0, str::len);
    let inner_line = inner.lines().nth(line).unwrap_or_default();
    let mut line_start = start;
    for (number, outer_line) in written.split_inclusive('\n').enumerate() {
        let indent = outer_line.trim_end().strip_suffix(inner_line.trim_end());
        match indent {
            Some(indent) if number == line => {
                return line_start
                    .saturating_add(indent.len())
                    .saturating_add(column);
            }
            _ => line_start = line_start.saturating_add(outer_line.len()),
        }
    }
    start
}

/// `kind namespace/name`
fn owner(kind: &str, object: &Object) -> String {
    let metadata = object.get("metadata").and_then(Json::as_object);
    let part = |key| metadata.and_then(|metadata| text(metadata, key));
    match (part("namespace"), part("name")) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        _ => kind.to_owned(),
    }
}

/// Whether an object is a plugin config of this filter.
fn is_bare(object: &Object) -> bool {
    ["claims", "rbac"]
        .iter()
        .any(|key| object.get(key).is_some())
}

fn looks_like_envoy(object: &Object) -> bool {
    const KEYS: [&str; 9] = [
        "static_resources",
        "dynamic_resources",
        "admin",
        "node",
        "configs",
        "filter_chains",
        "resources",
        "http_filters",
        "@type",
    ];
    KEYS.iter().any(|key| object.get(key).is_some())
}

fn text<'o>(object: &'o Object, key: &str) -> Option<&'o str> {
    object.get(key).and_then(Json::as_str)
}

fn child<'o>(object: &'o Object, spans: &'o Spans, key: &str) -> Option<(&'o Object, &'o Spans)> {
    Some((object.get(key)?.as_object()?, spans.member(key)?))
}
