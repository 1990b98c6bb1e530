//! An OCI image layout: an image as a folder, which every tool for images can read.

use std::fs;
use std::path::Path;

use serde::Serialize;

use oci_client::manifest::OciDescriptor;

use crate::forms::{Image, json};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<OciDescriptor>,
}

/// Writes the folder anew.
///
/// # Errors
/// A text with the path.
pub fn write(folder: &Path, image: &Image) -> Result<(), String> {
    let blobs = folder.join("blobs/sha256");
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("{}: {error}", folder.display()));
        }
        _ => {}
    }
    fs::create_dir_all(&blobs).map_err(|error| format!("{}: {error}", blobs.display()))?;
    for blob in image.blobs.iter().chain([&image.manifest]) {
        let digest = blob.digest();
        let name = digest.strip_prefix("sha256:").unwrap_or(&digest);
        put(&blobs.join(name), &blob.bytes)?;
    }
    let index = Index {
        schema_version: 2,
        media_type: "application/vnd.oci.image.index.v1+json",
        manifests: vec![image.manifest.descriptor()],
    };
    put(&folder.join("index.json"), &json(&index)?)?;
    let marker = Marker {
        image_layout_version: "1.0.0",
    };
    put(&folder.join("oci-layout"), &json(&marker)?)
}

/// Writes a file.
///
/// # Errors
/// A text with the path.
pub fn put(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}
