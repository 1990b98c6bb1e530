//! The images of the filter: the same bytes each time, in a real registry, and in the manifests.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use edge_claims_harness::tools;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{both, installed, printed};

/// A registry on this machine.
struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    fn start() -> Self {
        let port = tools::free_port();
        let address = format!("127.0.0.1:{port}");
        let process = Command::new(installed("crane"))
            .args(["registry", "serve", "--address", &address])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("crane runs");
        let registry = Self { process, address };
        let start = Instant::now();
        while TcpStream::connect(&registry.address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "no registry");
            std::thread::sleep(Duration::from_millis(50));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A folder in which images can be built: with the kustomize base, of which a copy is written to.
fn tree() -> TempDir {
    let folder = TempDir::new().unwrap();
    let base = "istio/kustomize/base";
    fs::create_dir_all(folder.path().join(base)).unwrap();
    for entry in fs::read_dir(tools::root().join(base)).unwrap() {
        let from = entry.unwrap().path();
        let to = folder.path().join(base).join(from.file_name().unwrap());
        fs::copy(from, to).unwrap();
    }
    folder
}

/// Runs what `make image` does, in that folder.
fn image(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(installed("image"))
        .arg("--module")
        .arg(tools::module())
        .arg("--root")
        .arg(folder)
        .args(arguments)
        // No login of the user who runs the tests.
        .env("DOCKER_CONFIG", folder)
        .output()
        .expect("it runs")
}

#[track_caller]
fn built(folder: &Path, arguments: &[&str]) -> String {
    let output = image(folder, arguments);
    assert!(output.status.success(), "{}", both(&output));
    both(&output)
}

/// The digests that were printed, by form.
fn digest<'r>(report: &'r str, form: &str) -> &'r str {
    let line = report
        .lines()
        .find(|line| line.starts_with("image ") && line.ends_with(&format!("/{form}")));
    line.unwrap().split_whitespace().nth(1).unwrap()
}

/// All files of a folder, with their content.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn two_builds_in_two_folders_give_the_same_images() {
    let registry = Registry::start();
    let (one, other) = (tree(), tree());
    let report = built(one.path(), &[]);
    built(other.path(), &[]);
    let images = |tree: &TempDir| files(&tree.path().join("target/image"));
    assert!(images(&one) == images(&other), "{report}");
    // Each layout has its manifest and blobs under the digests of their content.
    for form in ["oci", "docker", "artifact"] {
        let layout = one.path().join("target/image").join(form);
        let index = fs::read(layout.join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        assert_eq!(index["manifests"][0]["digest"], digest(&report, form));
        // Other tools read it.
        let name = format!("{}/edge-claims:{form}", registry.address);
        printed(
            Command::new(installed("crane"))
                .arg("push")
                .args([layout.as_os_str(), name.as_ref()]),
        );
        let found = printed(Command::new(installed("crane")).args(["digest", &name]));
        assert_eq!(found.trim(), digest(&report, form));
        for (name, bytes) in files(&layout.join("blobs/sha256")) {
            assert_eq!(hex(&bytes), name.to_str().unwrap());
        }
    }
    // Without a name, the manifests stay as they are.
    let base = "istio/kustomize/base/image.yaml";
    let of_tree = fs::read(tools::root().join(base)).unwrap();
    assert_eq!(fs::read(one.path().join(base)).unwrap(), of_tree);
}

fn hex(bytes: &[u8]) -> String {
    let hash = hmac_sha256::Hash::hash(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each form goes to a registry as it is, and comes back with the module in it.
#[test]
fn a_pushed_image_comes_back_with_the_module() {
    let registry = Registry::start();
    let module = fs::read(tools::module()).unwrap();
    for form in ["oci", "docker", "artifact"] {
        let tree = tree();
        let name = format!("{}/team/edge-claims:1.2.3-{form}", registry.address);
        let report = built(tree.path(), &["--push", &name, "--form", form]);
        let expected = digest(&report, form);
        assert!(
            report.contains(&format!("pushed {name}@{expected}\n")),
            "{report}"
        );
        let crane = installed("crane");
        let found = printed(Command::new(&crane).args(["digest", &name]));
        assert_eq!(found.trim(), expected);
        let manifest = printed(Command::new(&crane).args(["manifest", &name]));
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let media_type = if form == "docker" {
            "application/vnd.docker.distribution.manifest.v2+json"
        } else {
            "application/vnd.oci.image.manifest.v1+json"
        };
        assert_eq!(manifest["mediaType"], media_type);
        let layer = manifest["layers"].as_array().unwrap().last().unwrap();
        let blob = format!(
            "{}@{}",
            name.rsplit_once(':').unwrap().0,
            layer["digest"].as_str().unwrap()
        );
        let blob = Command::new(&crane).args(["blob", &blob]).output().unwrap();
        assert!(blob.status.success(), "{}", both(&blob));
        if form == "artifact" {
            assert!(blob.stdout == module);
        } else {
            let folder = TempDir::new().unwrap();
            fs::write(folder.path().join("layer.tar.gz"), &blob.stdout).unwrap();
            printed(
                Command::new("tar")
                    .arg("-xzf")
                    .arg("layer.tar.gz")
                    .current_dir(&folder),
            );
            assert!(fs::read(folder.path().join("plugin.wasm")).unwrap() == module);
            // A real container image: crane reads its file system.
            printed(Command::new(&crane).args(["validate", "--remote", &name]));
        }
        written(tree.path(), &name, expected);
    }
}

/// The manifests name what was pushed.
fn written(tree: &Path, name: &str, digest: &str) {
    let hash = digest.strip_prefix("sha256:").unwrap();
    let rendered = printed(
        Command::new(installed("kustomize"))
            .arg("build")
            .arg(tree.join("istio/kustomize/base")),
    );
    let plugin: Value = serde_saphyr::from_str(&rendered).unwrap();
    assert_eq!(plugin["spec"]["url"], format!("oci://{name}"));
    assert_eq!(plugin["spec"]["sha256"], hash);
    let values = fs::read_to_string(tree.join("target/image/values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&values).unwrap();
    assert_eq!(values["image"]["url"], format!("oci://{name}"));
    assert_eq!(values["image"]["sha256"], hash);
    let reference = fs::read_to_string(tree.join("target/image/reference")).unwrap();
    assert_eq!(reference, format!("{name}@{digest}\n"));
}

/// What is wrong is said, and the manifests keep the image that works.
#[test]
fn a_push_that_fails_writes_nothing() {
    let tree = tree();
    let before = files(&tree.path().join("istio"));
    let closed = format!("127.0.0.1:{}/edge-claims:1", tools::free_port());
    for (name, part) in [
        ("edge-claims:1.2.3", "must have a registry and a tag"),
        (&*closed, "did not take"),
    ] {
        let output = image(tree.path(), &["--push", name]);
        let report = both(&output);
        assert!(!output.status.success(), "{report}");
        assert!(report.contains(part), "{report}");
    }
    let output = image(tree.path(), &["--push", &closed, "--form", "zip"]);
    assert!(
        both(&output).contains("oci, docker, artifact"),
        "{}",
        both(&output)
    );
    assert!(files(&tree.path().join("istio")) == before);
    assert!(!tree.path().join("target/image/reference").exists());
}
