//! Writes the reference of a pushed image to where the manifests take it from.

use std::path::Path;

use crate::layout::put;

/// The base of the overlays: a JSON patch for the module.
const KUSTOMIZE: &str = "istio/kustomize/base/image.yaml";

/// Writes the image's name and its digest to the kustomize base, to values for the Helm chart, and to a file for
/// scripts. Returns the paths, relative to the root.
///
/// # Errors
/// A text with the path.
pub fn write(root: &Path, name: &str, digest: &str) -> Result<[&'static str; 3], String> {
    let hash = digest.strip_prefix("sha256:").unwrap_or(digest);
    let patch = format!(
        "# The module. sha256 is the digest of the image's MANIFEST, without `sha256:`, not the hash of the module in it.\n\
         # `make image IMAGE=…` writes this file.\n\
         - {{op: add, path: /spec/url, value: \"oci://{name}\"}}\n\
         - {{op: add, path: /spec/sha256, value: \"{hash}\"}}\n"
    );
    let values = format!("image:\n  url: \"oci://{name}\"\n  sha256: \"{hash}\"\n");
    let reference = format!("{name}@{digest}\n");
    let files = [
        (KUSTOMIZE, patch),
        ("target/image/values.yaml", values),
        ("target/image/reference", reference),
    ];
    for (path, text) in &files {
        put(&root.join(path), text.as_bytes())?;
    }
    Ok(files.map(|(path, _)| path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file in the tree is one that this writes, with an image that does not exist.
    #[test]
    fn the_file_of_the_tree_has_this_form() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["istio/kustomize/base", "target/image"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let digest = format!("sha256:{}", "0".repeat(64));
        write(
            root.path(),
            "registry.example.com/edge-claims:0.2.0",
            &digest,
        )
        .unwrap();
        let written = std::fs::read_to_string(root.path().join(KUSTOMIZE)).unwrap();
        assert_eq!(
            written,
            include_str!("../../istio/kustomize/base/image.yaml")
        );
        let reference = std::fs::read_to_string(root.path().join("target/image/reference"));
        let expected = format!("registry.example.com/edge-claims:0.2.0@{digest}\n");
        assert_eq!(reference.unwrap(), expected);
    }
}
