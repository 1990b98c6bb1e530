//! The Istio manifests and the Helm chart, rendered by the real kustomize and helm, and the images, pushed to a real
//! registry: `make test-manifests`.

#[path = "../manual/manifests.rs"]
mod expected;
mod helm;
mod image;
mod kustomize;
mod program;
