//! Reads the objects of a mesh from documents.

use std::rc::Rc;

use super::MeshObject;
use crate::cli::source::{Document, Spans};
use crate::json::{Json, Object};

/// Appends the objects in a document: one, or those of a `List`.
pub(super) fn objects(document: &Document, found: &mut Vec<MeshObject>) {
    if let Some(object) = document.json.as_object() {
        read(object, &document.spans, document, found);
    }
}

fn read(object: &Object, spans: &Spans, document: &Document, found: &mut Vec<MeshObject>) {
    let Some(kind) = text(object, "kind") else {
        return;
    };
    if kind.ends_with("List") {
        let items = object.get("items").and_then(Json::as_array);
        let places = spans.member("items");
        for (index, item) in items.unwrap_or_default().iter().enumerate() {
            let place = places.and_then(|places| places.element(index));
            if let (Some(item), Some(place)) = (item.as_object(), place) {
                read(item, place, document, found);
            }
        }
        return;
    }
    let (Some(spec), Some(spec_spans)) = (
        object.get("spec").and_then(Json::as_object),
        spans.member("spec"),
    ) else {
        return;
    };
    let metadata = object.get("metadata").and_then(Json::as_object);
    let of_metadata = |key| metadata.and_then(|metadata| text(metadata, key));
    let annotations = metadata
        .and_then(|metadata| metadata.get("annotations")?.as_object())
        .map(strings);
    found.push(MeshObject {
        source: Rc::clone(&document.source),
        kind: kind.to_owned(),
        namespace: of_metadata("namespace").unwrap_or_default().to_owned(),
        name: of_metadata("name").unwrap_or_default().to_owned(),
        annotations: annotations.unwrap_or_default(),
        spec: spec.clone(),
        spans: spec_spans.clone(),
    });
}

/// The members that are strings.
pub(super) fn strings(object: &Object) -> Vec<(String, String)> {
    object
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.as_str()?.to_owned())))
        .collect()
}

/// A member that is a string.
pub(super) fn text<'o>(object: &'o Object, key: &str) -> Option<&'o str> {
    object.get(key).and_then(Json::as_str)
}

/// A member that is an object.
pub(super) fn object<'o>(object: &'o Object, key: &str) -> Option<&'o Object> {
    object.get(key).and_then(Json::as_object)
}

/// The objects in a member that is a list.
pub(super) fn list<'o>(object: &'o Object, key: &str) -> impl Iterator<Item = &'o Object> {
    let items = object.get(key).and_then(Json::as_array);
    items.unwrap_or_default().iter().filter_map(Json::as_object)
}

/// The strings in a member that is a list.
pub(super) fn texts<'o>(object: &'o Object, key: &str) -> impl Iterator<Item = &'o str> {
    let items = object.get(key).and_then(Json::as_array);
    items.unwrap_or_default().iter().filter_map(Json::as_str)
}
