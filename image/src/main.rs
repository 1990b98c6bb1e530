//! Builds the container images of the filter: `make image`.

mod forms;
mod layout;
mod manifests;
mod push;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use oci_client::Reference;

use crate::forms::{Form, Image};

/// Build the images of the filter under target/image, push one, and write its digest into the manifests.
#[derive(Debug, Parser)]
#[command(name = "image")]
struct Options {
    /// Push to this name, as registry.example.com/edge-claims:1.0.0, and write it and the digest into the manifests
    #[arg(long, value_name = "NAME")]
    push: Option<String>,
    /// The form that is pushed
    #[arg(long, value_enum, default_value = "oci")]
    form: Form,
    /// The module
    #[arg(long, value_name = "FILE", default_value = "target/edge_claims.wasm")]
    module: PathBuf,
    /// The folder with istio/ and target/
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("image: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    // First of all, so that a wrong name costs no time.
    let target = options.push.as_deref().map(reference).transpose()?;
    let module = std::fs::read(&options.module).map_err(|error| {
        format!(
            "{}: {error}; `make wasm` builds it",
            options.module.display()
        )
    })?;
    if !module.starts_with(b"\0asm") {
        return Err(format!("{} is no Wasm module", options.module.display()));
    }
    println!(
        "module {}  {}",
        forms::digest(&module),
        options.module.display()
    );
    let mut chosen = None;
    for form in Form::ALL {
        let image = forms::image(form, &module, version())?;
        let folder = options.root.join("target/image").join(form.name());
        layout::write(&folder, &image)?;
        println!("image  {}  {}", image.manifest.digest(), folder.display());
        if form == options.form {
            chosen = Some(image);
        }
    }
    match (target, chosen) {
        (Some(target), Some(image)) => publish(options, &target, &image),
        _ => {
            println!(
                "Nothing was pushed: `make image IMAGE=registry.example.com/edge-claims:{}` does",
                version()
            );
            Ok(())
        }
    }
}

fn publish(options: &Options, target: &Reference, image: &Image) -> Result<(), String> {
    println!("pushing to {target}");
    push::push(image, target)?;
    let digest = image.manifest.digest();
    println!("pushed {target}@{digest}");
    for path in manifests::write(&options.root, &target.to_string(), &digest)? {
        println!("written {path}");
    }
    Ok(())
}

/// The name of an image: with a registry and a tag, without a digest.
fn reference(text: &str) -> Result<Reference, String> {
    const EXPECTED: &str = "write registry.example.com/edge-claims:1.0.0";
    let reference: Reference = text
        .parse()
        .map_err(|error| format!("the name {text:?}: {error}; {EXPECTED}"))?;
    // Without these, the name would mean Docker Hub, or `latest`, which the next push changes.
    let written = reference
        .tag()
        .map(|tag| format!("{}/{}:{tag}", reference.registry(), reference.repository()));
    if reference.digest().is_some() || written.as_deref() != Some(text) {
        return Err(format!(
            "the name {text:?} must have a registry and a tag, and no digest; {EXPECTED}"
        ));
    }
    Ok(reference)
}

/// The version of the filter.
fn version() -> &'static str {
    include_str!("../../Cargo.toml")
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_registry_and_a_tag() {
        assert!(reference("registry.example.com/team/edge-claims:1.0.0").is_ok());
        assert!(reference("localhost:5000/edge-claims:1").is_ok());
        for text in [
            "",
            "edge-claims",
            "edge-claims:1.0.0",
            "registry.example.com/edge-claims",
            "https://registry.example.com/edge-claims:1.0.0",
            "oci://registry.example.com/edge-claims:1.0.0",
            "registry.example.com/Edge:1.0.0",
        ] {
            assert!(reference(text).is_err(), "{text}");
        }
        let digest = format!("registry.example.com/edge-claims@sha256:{}", "0".repeat(64));
        assert!(reference(&digest).is_err());
    }
}
