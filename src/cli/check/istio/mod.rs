//! Compares a plugin's resource with the other Istio objects of the mesh.

mod compare;
mod keys;
mod read;
mod select;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::rc::Rc;

pub(super) use self::compare::compare;
use crate::cli::source::{Document, Source, Spans};
use crate::json::Object;

/// The objects of a mesh, as `kubectl get -o yaml` prints them.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    objects: Vec<MeshObject>,
}

/// A Kubernetes object.
#[derive(Debug)]
struct MeshObject {
    source: Rc<Source>,
    kind: String,
    namespace: String,
    name: String,
    /// `metadata.annotations`
    annotations: Vec<(String, String)>,
    spec: Object,
    spans: Spans,
}

/// A `WasmPlugin` or a `TrafficExtension`.
#[derive(Debug, Clone, Copy)]
struct Plugin<'m> {
    object: &'m MeshObject,
    /// What has `url`, `sha256` and `pluginConfig`.
    wasm: &'m Object,
    wasm_spans: &'m Spans,
}

impl Mesh {
    /// Adds the objects in the documents of a file. What is no object is left out.
    pub(super) fn add(&mut self, documents: &[Document]) {
        for document in documents {
            read::objects(document, &mut self.objects);
        }
    }

    /// Whether nothing was read.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn of_kind<'m>(&'m self, kind: &'m str) -> impl Iterator<Item = &'m MeshObject> {
        self.objects
            .iter()
            .filter(move |object| object.kind == kind)
    }

    /// The resources that load this filter.
    fn plugins(&self) -> impl Iterator<Item = Plugin<'_>> {
        self.objects.iter().filter_map(MeshObject::plugin)
    }
}

impl MeshObject {
    /// As messages name it: `kind namespace/name`.
    fn title(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{} {}", self.kind, self.name),
            namespace => format!("{} {namespace}/{}", self.kind, self.name),
        }
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        let mut annotations = self.annotations.iter();
        let (_, value) = annotations.find(|(other, _)| other == name)?;
        Some(value)
    }

    /// The plugin, if its config or its URL is that of this filter.
    fn plugin(&self) -> Option<Plugin<'_>> {
        let (wasm, wasm_spans) = match self.kind.as_str() {
            "WasmPlugin" => (&self.spec, &self.spans),
            "TrafficExtension" => (
                self.spec.get("wasm")?.as_object()?,
                self.spans.member("wasm")?,
            ),
            _ => return None,
        };
        let url = wasm.get("url").and_then(|url| url.as_str());
        let names_us =
            url.is_some_and(|url| url.contains("edge-claims") || url.contains("edge_claims"));
        let config = wasm
            .get("pluginConfig")
            .and_then(|config| config.as_object());
        let is_ours = config
            .is_some_and(|config| config.get("claims").is_some() || config.get("rbac").is_some());
        (names_us || is_ours).then_some(Plugin {
            object: self,
            wasm,
            wasm_spans,
        })
    }
}

impl Plugin<'_> {
    /// Where a member of the plugin is in the file; the plugin's first line if it lacks it.
    fn place(&self, key: &str) -> Range<usize> {
        if let Some(spans) = self.wasm_spans.member(key) {
            return spans.value.clone();
        }
        let start = self.object.spans.value.start;
        let text = self.object.source.text.get(start..).unwrap_or_default();
        let line = text.lines().next().map_or(0, str::len);
        start..start.saturating_add(line)
    }
}
