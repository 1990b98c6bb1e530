//! The forms of an image with a Wasm module that Istio and Envoy Gateway read. The same module gives the same
//! bytes, whoever builds the image, where and when.

use std::collections::BTreeMap;
use std::io::Write;

use clap::ValueEnum;
use flate2::{Compression, GzBuilder};
use oci_client::config::{Architecture, ConfigFile, Os, Rootfs};
use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE,
    IMAGE_LAYER_GZIP_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor,
    OciImageManifest,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The form of an image. Istio's pilot-agent and Envoy Gateway read all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// An OCI image with one layer, `tar+gzip`, that holds plugin.wasm
    Oci,
    /// The same with Docker's media types, for registries that take no OCI images
    Docker,
    /// An artifact with two layers, the module as it is and its description
    Artifact,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Oci, Self::Docker, Self::Artifact];

    /// As the command line and the folders name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Docker => "docker",
            Self::Artifact => "artifact",
        }
    }
}

/// Bytes that a registry keeps under their digest.
#[derive(Debug, Clone)]
pub struct Blob {
    /// What it is.
    pub media_type: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// `sha256:` and the hash.
    pub fn digest(&self) -> String {
        digest(&self.bytes)
    }

    /// How a manifest or an index refers to it.
    pub fn descriptor(&self) -> OciDescriptor {
        OciDescriptor {
            media_type: self.media_type.to_owned(),
            digest: self.digest(),
            size: i64::try_from(self.bytes.len()).unwrap_or(i64::MAX),
            ..OciDescriptor::default()
        }
    }
}

/// An image: its manifest, and the blobs that the manifest names.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest. Its digest is the image's.
    pub manifest: Blob,
    /// The config, and the layers.
    pub blobs: Vec<Blob>,
}

/// `sha256:` and the hash in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The image of a module in one form.
///
/// # Errors
/// A text if the archive cannot be written.
pub fn image(form: Form, module: &[u8], version: &str) -> Result<Image, String> {
    let (manifest_type, config, layers) = match form {
        Form::Oci => {
            let (config, layer) =
                container(module, IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_GZIP_MEDIA_TYPE)?;
            (OCI_IMAGE_MEDIA_TYPE, config, vec![layer])
        }
        Form::Docker => {
            let (config, layer) = container(
                module,
                IMAGE_DOCKER_CONFIG_MEDIA_TYPE,
                IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE,
            )?;
            (IMAGE_MANIFEST_MEDIA_TYPE, config, vec![layer])
        }
        Form::Artifact => {
            let (config, layers) = artifact(module)?;
            (OCI_IMAGE_MEDIA_TYPE, config, layers)
        }
    };
    let annotations = BTreeMap::from([
        ("org.opencontainers.image.licenses", "Apache-2.0"),
        ("org.opencontainers.image.title", "edge-claims"),
        ("org.opencontainers.image.version", version),
    ]);
    let annotations = annotations
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let manifest = OciImageManifest {
        media_type: Some(manifest_type.to_owned()),
        config: config.descriptor(),
        layers: layers.iter().map(Blob::descriptor).collect(),
        // Docker's manifests have none.
        annotations: (form != Form::Docker).then_some(annotations),
        ..OciImageManifest::default()
    };
    let mut blobs = vec![config];
    blobs.extend(layers);
    Ok(Image {
        manifest: Blob {
            media_type: manifest_type,
            bytes: json(&manifest)?,
        },
        blobs,
    })
}

/// The config and the layer of a container image.
fn container(
    module: &[u8],
    config_type: &'static str,
    layer_type: &'static str,
) -> Result<(Blob, Blob), String> {
    let archive = archive(module).map_err(|error| format!("the archive: {error}"))?;
    let config = ConfigFile {
        architecture: Architecture::Other("wasm".to_owned()),
        os: Os::Other("wasip1".to_owned()),
        rootfs: Rootfs {
            diff_ids: vec![digest(&archive)],
            ..Rootfs::default()
        },
        ..ConfigFile::default()
    };
    let config = Blob {
        media_type: config_type,
        bytes: json(&config)?,
    };
    let layer = Blob {
        media_type: layer_type,
        bytes: gzip(&archive).map_err(|error| format!("gzip: {error}"))?,
    };
    Ok((config, layer))
}

/// A tar with the module as `plugin.wasm`, the name that is looked for.
fn archive(module: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(module.len() as u64);
    header.set_mode(0o644);
    // The owner and the time of the build must not show.
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, "plugin.wasm", module)?;
    builder.into_inner()
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    // No name, no time, and 255 for the operating system: unknown.
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), Compression::new(9));
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The description of a module as the specification of Wasm images has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    r#type: &'static str,
    abi_versions: [&'static str; 1],
}

/// The config and the layers of an artifact, as
/// <https://github.com/solo-io/wasm/blob/master/spec/spec.md> has them.
fn artifact(module: &[u8]) -> Result<(Blob, Vec<Blob>), String> {
    const DESCRIPTION: &str = "application/vnd.module.wasm.config.v1+json";
    let description = Blob {
        media_type: DESCRIPTION,
        bytes: json(&Description {
            r#type: "envoy_proxy",
            abi_versions: ["v0.2.1"],
        })?,
    };
    let content = Blob {
        media_type: "application/vnd.module.wasm.content.layer.v1+wasm",
        bytes: module.to_vec(),
    };
    Ok((description.clone(), vec![description, content]))
}

/// JSON whose members are in the order of the struct: the digest depends on it.
pub fn json(value: &impl Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    /// The digests of a fixed module. If a new version of a dependency changes them, the digests of released
    /// images can no longer be built again: say so in CHANGELOG.md.
    #[test]
    fn the_same_module_has_the_same_digest_everywhere() {
        let digests = Form::ALL.map(|form| {
            let image = image(form, MODULE, "1.2.3").unwrap();
            image.manifest.digest()
        });
        let expected = [
            "sha256:7e1a4ce9a4e482404382c7faa6958467414733449b5459dbbd358ea87625aa1a",
            "sha256:addddbbaec39af61cc3a0ab5669f178d9f469804f2c265543237eda1d2b08e83",
            "sha256:eecd614bdbe95e03b2f8d60e9b14b641ad7a41bf906d1056ca28af926258f884",
        ];
        assert_eq!(digests, expected);
    }

    #[test]
    fn the_layer_holds_the_module_and_nothing_of_the_builder() {
        for form in [Form::Oci, Form::Docker] {
            let image = image(form, MODULE, "1.2.3").unwrap();
            let layer = image.blobs.last().unwrap();
            let mut archive = Vec::new();
            flate2::read::GzDecoder::new(&*layer.bytes)
                .read_to_end(&mut archive)
                .unwrap();
            let mut archive = tar::Archive::new(&*archive);
            let mut entries = archive.entries().unwrap();
            let mut entry = entries.next().unwrap().unwrap();
            let header = entry.header();
            assert_eq!(header.path().unwrap().to_str(), Some("plugin.wasm"));
            assert_eq!(header.uid().unwrap() + header.gid().unwrap(), 0);
            assert_eq!(header.mtime().unwrap(), 0);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert_eq!(content, MODULE);
            assert!(entries.next().is_none());
        }
    }
}
