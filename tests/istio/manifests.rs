//! The project's manifests, and the image that they name. All paths of the tree that these tests read are here.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use edge_claims_harness::tools;
use serde_json::{Value, json};

use crate::process::installed;

/// The reference of the image in the manifests.
pub const IMAGE: &str = "registry.example.com/edge-claims:0.2.0";

/// Where the manifests have the digest of the image.
const PLACEHOLDER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The filter in the ingress gateway, with the cluster of the key server, as both kinds of resource.
pub const GATEWAY: [&str; 2] = ["gateway", "gateway-trafficextension"];
/// The filter in the sidecars of `orders`.
pub const SIDECAR: [&str; 2] = ["sidecar", "sidecar-trafficextension"];

/// The labels of metrics, for the whole mesh, and as an annotation of the gateway.
pub const MESH_CONFIG: &str = "istio/telemetry/mesh-config.yaml";
pub const GATEWAY_ANNOTATION: &str = "istio/telemetry/gateway-annotation.yaml";

/// The formats of access logs, and who writes them.
pub const LOG_FORMATS: &str = "docs/access-logs/istio-mesh-config.yaml";
pub const TELEMETRY: &str = "docs/access-logs/istio-telemetry.yaml";

/// A file of the tree.
pub fn file(path: &str) -> String {
    let path = tools::root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A YAML document of the tree.
pub fn docs(path: &str) -> Value {
    serde_saphyr::from_str(&file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// An image in the registry.
#[derive(Debug, Clone)]
pub struct Image {
    /// The digest of its manifest, 64 hexadecimal digits.
    pub digest: String,
}

impl Image {
    /// Pushes the built module as [`IMAGE`].
    pub fn push() -> Self {
        Self::push_module(&tools::module(), IMAGE)
    }

    /// Pushes a module under a reference.
    pub fn push_module(module: &Path, reference: &str) -> Self {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        fs::copy(module, folder.path().join("plugin.wasm")).expect("the module can be copied");
        let layer = folder.path().join("layer.tar");
        run(Command::new("tar")
            .arg("-cf")
            .arg(&layer)
            .arg("-C")
            .arg(folder.path())
            .arg("plugin.wasm"));
        let printed = run(Command::new(installed("crane"))
            .args(["append", "--oci-empty-base", "-t", reference, "-f"])
            .arg(&layer)
            .env("HOME", folder.path()));
        let digest = printed
            .trim()
            .rsplit_once("@sha256:")
            .map(|(_, digest)| digest.to_owned());
        Self {
            digest: digest.unwrap_or_else(|| panic!("crane prints no digest: {printed:?}")),
        }
    }

    /// An overlay of the project with the image's digest: the one thing that a user must change.
    pub fn overlay(&self, name: &str) -> Manifests {
        let text = overlay(name);
        assert!(
            text.contains(PLACEHOLDER),
            "{name} has no place for the digest"
        );
        let text = text.replace(PLACEHOLDER, &self.digest);
        let items = serde_saphyr::from_multiple(&text);
        Manifests(items.unwrap_or_else(|error| panic!("{name}: {error}")))
    }
}

/// An overlay as `kubectl apply -k` composes it.
fn overlay(name: &str) -> String {
    let folder = tools::root().join("istio/kustomize/overlays").join(name);
    run(Command::new(installed("kubectl"))
        .arg("kustomize")
        .arg(folder))
}

/// Resources that belong together. As text, they are what kubectl applies.
#[derive(Debug, Clone)]
pub struct Manifests(pub Vec<Value>);

impl Manifests {
    /// The resource that is the filter.
    pub fn filter(&mut self) -> &mut Value {
        let is_filter =
            |item: &&mut Value| item["kind"] == "WasmPlugin" || item["kind"] == "TrafficExtension";
        self.0.iter_mut().find(is_filter).expect("there is one")
    }

    /// Its spec; of a `TrafficExtension`, the part about Wasm.
    pub fn wasm(&mut self) -> &mut Value {
        let filter = self.filter();
        if filter["kind"] == "WasmPlugin" {
            &mut filter["spec"]
        } else {
            &mut filter["spec"]["wasm"]
        }
    }

    /// Changes the plugin config.
    pub fn config(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.wasm()["pluginConfig"]);
        self
    }

    /// Changes the resource that is the filter.
    pub fn changed(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(self.filter());
        self
    }

    /// Replaces the path of the route `public`: a change that a client can see.
    pub fn with_public(self, path: &str) -> Self {
        self.config(|config| config["rbac"]["routes"][0]["path"] = json!(path))
    }
}

impl fmt::Display for Manifests {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}",
            json!({"apiVersion": "v1", "kind": "List", "items": self.0})
        )
    }
}

/// Runs a program to its end, and returns what it prints.
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Lays one document over another: objects are merged, all else is replaced.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                merge(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}
