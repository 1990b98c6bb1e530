//! Where the module comes from: a file by HTTP, an image from a registry; its hash, and the pull secret.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ct_codecs::{Base64, Encoder as _};
use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::upstream::Answer;
use edge_claims_harness::{Client, Upstream, tools};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::{self, Lab, wait};
use crate::manifests;

/// A server of files that answers every request with the same module, or with 503.
pub struct Files {
    server: Upstream,
    available: Arc<AtomicBool>,
    sha256: String,
}

impl Files {
    /// Serves the filter.
    pub fn start() -> Self {
        Self::serving(std::fs::read(tools::module()).expect("the module is built"))
    }

    pub fn serving(module: Vec<u8>) -> Self {
        let sha256 = hex(&hmac_sha256::Hash::hash(&module));
        let available = Arc::new(AtomicBool::new(true));
        let theirs = Arc::clone(&available);
        let server = Upstream::answering(move |_| {
            let available = theirs.load(Ordering::Relaxed);
            Answer {
                status: if available { 200 } else { 503 },
                body: if available {
                    module.clone()
                } else {
                    Vec::new()
                },
                ..Answer::default()
            }
        });
        Self {
            server,
            available,
            sha256,
        }
    }

    /// Whether it has the module, or answers 503.
    pub fn has_module(&self, yes: bool) {
        self.available.store(yes, Ordering::Relaxed);
    }

    pub fn fetches(&self) -> usize {
        self.server.count()
    }

    /// `code` of a Wasm extension: the URL, and the hash of the module.
    pub fn code(&self) -> Value {
        self.code_with(&self.sha256)
    }

    /// The same with another hash.
    pub fn code_with(&self, sha256: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/edge_claims.wasm", self.server.port());
        json!({"type": "HTTP", "http": {"url": url, "sha256": sha256}})
    }
}

/// A registry of images.
pub struct Registry {
    process: Child,
    port: u16,
}

/// The forms in which Envoy Gateway takes a module from a registry.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// An OCI image whose last layer is a tar archive with `plugin.wasm`.
    Oci,
    /// The same as a Docker image.
    Docker,
}

impl Registry {
    pub fn start() -> Self {
        let port = tools::free_port();
        let process = Command::new(lab::program("crane"))
            .args([
                "registry",
                "serve",
                "--address",
                &format!("127.0.0.1:{port}"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("crane starts");
        wait("the registry", || {
            (Client::new(port).get("/v2/").send().status == 200).then_some(())
        })
        .unwrap_or_else(|problem| panic!("{problem}"));
        Self { process, port }
    }

    /// Pushes the filter, and returns the digest of the image's manifest.
    pub fn push(&self, form: Form) -> String {
        let folder = TempDir::new().expect("a temporary folder");
        let layer = folder.path().join("layer.tar.gz");
        archive(&layer);
        let image = self.image();
        let mut command = Command::new(lab::program("crane"));
        command.args(["append", "--insecure", "-t", &image, "-f"]);
        command.arg(&layer);
        if matches!(form, Form::Oci) {
            command.arg("--oci-empty-base");
        }
        let output = command.output().expect("crane runs");
        assert!(output.status.success(), "{output:?}");
        let output = Command::new(lab::program("crane"))
            .args(["digest", "--insecure", &image])
            .output()
            .expect("crane runs");
        let digest = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let digest = digest.strip_prefix("sha256:").map(str::to_owned);
        digest.unwrap_or_else(|| panic!("{output:?}"))
    }

    fn image(&self) -> String {
        format!("127.0.0.1:{}/edge-claims:0.2.0", self.port)
    }

    /// `code` of a Wasm extension.
    pub fn code(&self, sha256: &str) -> Value {
        image(&self.image(), sha256)
    }
}

fn image(url: &str, sha256: &str) -> Value {
    json!({"type": "Image", "image": {"url": url, "sha256": sha256}})
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes a gzipped tar archive with the module as `plugin.wasm`.
fn archive(file: &Path) {
    let module = tools::module();
    let output = Command::new("tar")
        .args([
            "--create",
            "--gzip",
            "--transform",
            "s/.*/plugin.wasm/",
            "--file",
        ])
        .arg(file)
        .arg("--directory")
        .arg(module.parent().expect("it is in a folder"))
        .arg(module.file_name().expect("it has a name"))
        .output()
        .expect("tar runs");
    assert!(output.status.success(), "{output:?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key() -> Key {
    Key::generate("ES256", "edge-1")
}

fn resources(code: &Value, key: &Key) -> Vec<Value> {
    let mut resources = manifests::gateway(None);
    resources.push(manifests::gateway_policy(code, &manifests::config(key)));
    resources
}

/// Waits until requests without a token are denied; then those with one pass. While the filter comes, requests may
/// pass without it: see `crate::guard`.
fn is_filtered(lab: &Lab, key: &Key) {
    lab.until(401, &lab.get("/orders"));
    let token = key.sign(&tokens::claims(&json!({})));
    let request = lab.get("/orders").header("x-edge-claims", token);
    assert_eq!(request.send().status, 200);
}

#[test]
fn a_file_by_http_is_checked_against_its_hash() {
    let (key, files) = (key(), Files::start());
    let lab = Lab::start(&resources(&files.code(), &key));
    is_filtered(&lab, &key);
}

#[test]
fn both_forms_of_an_image_load_and_sha256_is_the_digest_of_the_manifest() {
    let (key, registry) = (key(), Registry::start());
    let digest = registry.push(Form::Oci);
    let lab = Lab::start(&resources(&registry.code(&digest), &key));
    is_filtered(&lab, &key);
    let docker = registry.push(Form::Docker);
    assert_ne!(docker, digest);
    lab.change(&resources(&registry.code(&docker), &key));
    is_filtered(&lab, &key);

    // The module's own hash does not match.
    let module = Files::start();
    lab.change(&resources(&registry.code(&module.sha256), &key));
    lab.wait_for_gateway_log(&format!("which does not match: {}", module.sha256));
    let token = key.sign(&tokens::claims(&json!({})));
    lab.until(500, &lab.get("/orders").header("x-edge-claims", token));
}

#[test]
fn a_wrong_hash_in_an_update_stops_every_request() {
    let (key, files) = (key(), Files::start());
    let lab = Lab::start(&resources(&files.code(), &key));
    is_filtered(&lab, &key);
    // The module that runs is still the right one; Envoy Gateway takes it away all the same.
    lab.change(&resources(&files.code_with(&"0".repeat(64)), &key));
    lab.until(500, &lab.get("/public"));
    lab.wait_for_gateway_log("which does not match");
    lab.change(&resources(&files.code(), &key));
    is_filtered(&lab, &key);
}

#[test]
fn with_fail_open_a_wrong_hash_lets_every_request_pass_unfiltered() {
    let (key, files) = (key(), Files::start());
    let lab = Lab::start(&resources(&files.code(), &key));
    is_filtered(&lab, &key);
    let mut open = resources(&files.code_with(&"0".repeat(64)), &key);
    let policy = open.last_mut().expect("the policy");
    policy["spec"]["wasm"][0]["failOpen"] = json!(true);
    lab.change(&open);
    lab.until(200, &lab.get("/orders"));
}

/// A registry that wants a name and a password, before another one.
fn private(registry: &Registry) -> Upstream {
    let behind = Client::new(registry.port);
    let wanted = format!("Basic {}", basic("robot", "secret"));
    Upstream::answering(move |seen| {
        if seen.all("authorization") != [wanted.clone()] {
            let challenge = b"Basic realm=\"registry\"".to_vec();
            return Answer {
                status: 401,
                headers: vec![(b"www-authenticate".to_vec(), challenge)],
                ..Answer::default()
            };
        }
        let mut request = behind.request(&seen.method, &seen.path);
        for accept in seen.all("accept") {
            request = request.header("accept", accept);
        }
        let response = request.send();
        let kept = |name: &[u8]| {
            name.eq_ignore_ascii_case(b"content-type")
                || name.eq_ignore_ascii_case(b"docker-content-digest")
        };
        Answer {
            status: response.status,
            headers: response
                .headers
                .into_iter()
                .filter(|(name, _)| kept(name))
                .collect(),
            body: response.body,
            ..Answer::default()
        }
    })
}

fn basic(name: &str, password: &str) -> String {
    Base64::encode_to_string(format!("{name}:{password}")).expect("short enough")
}

/// The Secret that `kubectl create secret docker-registry` makes.
fn pull_secret(registry: &str, password: &str) -> Value {
    let config = json!({"auths": {registry: {"auth": basic("robot", password)}}}).to_string();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "registry", "namespace": "shop"},
        "data": {".dockerconfigjson": Base64::encode_to_string(config).expect("short enough")},
    })
}

#[test]
fn a_private_registry_needs_the_pull_secret() {
    let (key, registry) = (key(), Registry::start());
    let digest = registry.push(Form::Oci);
    let front = private(&registry);
    let host = format!("127.0.0.1:{}", front.port());
    let mut code = image(&format!("{host}/edge-claims:0.2.0"), &digest);
    let lab = Lab::start(&resources(&code, &key));
    lab.until(500, &lab.get("/public"));

    code["image"]["pullSecretRef"] = json!({"name": "registry"});
    let with_secret = |password: &str| {
        let mut resources = resources(&code, &key);
        resources.push(pull_secret(&host, password));
        resources
    };
    lab.change(&with_secret("wrong"));
    lab.wait_for_gateway_log("401 Unauthorized");
    assert_eq!(lab.get("/public").send().status, 500);
    lab.change(&with_secret("secret"));
    is_filtered(&lab, &key);
}
