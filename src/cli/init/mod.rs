//! `edge-claims init`: a folder to start from, for Envoy, Istio or Docker Compose.

mod folder;
mod policy;
mod starter;
mod values;

use std::fs;
use std::io::Read;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use self::folder::File;
use self::values::{ImageName, JwksUrl, KeyPair, Values};
use super::source::{self, Source};
use super::text::printable;
use super::{Answer, CommandError};

/// Write a folder to start from: a policy with tests, in a config that runs.
///
/// The policy has three routes (public, for every user, for a role) and tests. It is in the config of an
/// Envoy, in a WasmPlugin, or in the config of Docker Compose's Envoy. README.md in the folder has the next
/// commands. No existing file is overwritten.
///
/// Without --jwks-url, Envoy's tokens are signed with a secret that is in its environment.
///
/// With --try, nothing else is needed to see Istio's gateway deny and allow a request: the tokens are signed with a
/// new key, and the gateway itself answers.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// What to write
    #[arg(value_name = "TARGET", value_enum)]
    target: Target,
    /// The `iss` of the tokens
    #[arg(long, value_name = "ISSUER", default_value = "https://edge.example.com", value_parser = values::word)]
    issuer: String,
    /// The `aud` of the tokens
    #[arg(long, value_name = "AUDIENCE", default_value = "mesh.example.com", value_parser = values::word)]
    audience: String,
    /// The URL of the issuer's public keys, a JWKS [istio: ISSUER/.well-known/jwks.json by default]
    #[arg(long, value_name = "URL")]
    jwks_url: Option<JwksUrl>,
    /// istio: a new key in the place of --jwks-url, and a route of the gateway that answers by itself
    #[arg(long = "try", conflicts_with = "jwks_url")]
    is_try: bool,
    /// istio: the image of the filter with its digest, as `make image` prints it
    #[arg(long, value_name = "NAME@DIGEST")]
    image: Option<ImageName>,
    /// The host of the routes, if not every host
    #[arg(long, value_name = "HOST", value_parser = values::host)]
    host: Option<String>,
    /// The built filter, which is copied into the folder as edge_claims.wasm; not for istio
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    /// The folder, which is made if it is missing
    #[arg(long, value_name = "DIR", default_value = "edge-claims")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims init envoy --wasm target/edge_claims.wasm
  edge-claims init istio --issuer https://login.example.com/ --audience orders --out deploy
  edge-claims init istio --try --image registry.example.com/edge-claims:0.2.0@sha256:…
  edge-claims init compose --jwks-url https://login.example.com/jwks.json --host shop.example.com

Exit codes:
  0  done
  2  wrong usage, a file exists already, or a file cannot be read or written";

/// Where the filter runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// A standalone Envoy
    Envoy,
    /// Istio's ingress gateway
    Istio,
    /// Envoy and an upstream in Docker Compose
    Compose,
}

/// Writes the folder.
///
/// # Errors
/// A [`CommandError`].
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let mut files = starter::files(options.target, &values(options)?)?;
    check(options, &files)?;
    if let Some(path) = &options.wasm {
        files.push(module(options.target, path)?);
    }
    folder::write(&options.out, &files)?;
    let folder = shown(&options.out);
    writeln!(output, "written:")?;
    for file in &files {
        writeln!(output, "  {folder}/{}", file.name)?;
    }
    let config = starter::config_file(options.target);
    writeln!(output, "next:")?;
    writeln!(output, "  edge-claims check {folder}/{config}")?;
    writeln!(output, "  read {folder}/README.md: how to run it")?;
    Ok(Answer::Yes)
}

fn values(options: &Options) -> Result<Values, CommandError> {
    if options.target != Target::Istio && (options.is_try || options.image.is_some()) {
        return Err(CommandError::Usage(
            "--try and --image are for istio".to_owned(),
        ));
    }
    let jwks_url = match (&options.jwks_url, options.target) {
        (Some(url), _) => Some(url.clone()),
        (None, Target::Istio) if !options.is_try => Some(well_known(&options.issuer)?),
        (None, _) => None,
    };
    let key = if options.is_try {
        Some(new_key(options)?)
    } else {
        None
    };
    Ok(Values {
        issuer: options.issuer.clone(),
        audience: options.audience.clone(),
        jwks_url,
        key,
        image: options.image.clone(),
        host: options.host.clone(),
    })
}

fn new_key(options: &Options) -> Result<KeyPair, CommandError> {
    KeyPair::new().ok_or_else(|| CommandError::Create {
        path: options.out.clone(),
        error: std::io::Error::other("the operating system has no random bytes"),
    })
}

/// Where an issuer whose name is a URL often has its keys.
fn well_known(issuer: &str) -> Result<JwksUrl, CommandError> {
    let url = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
    url.parse().map_err(|_| {
        CommandError::Usage(format!(
            "the issuer {issuer:?} is no URL that could have the keys: name their URL with --jwks-url"
        ))
    })
}

/// Loads the config as it is going to be written, and so runs its tests.
fn check(options: &Options, files: &[File]) -> Result<(), CommandError> {
    let Some(file) = files.first() else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(&file.content).into_owned();
    let source = Source::new(shown(&options.out.join(file.name)), text);
    for config in source::configs_in(source::documents(&source)?, &source)? {
        config.load().map_err(|errors| {
            CommandError::Usage(format!("these values make no valid config: {errors}"))
        })?;
    }
    Ok(())
}

/// The largest module, in bytes; the filter has about 1 MiB.
const MAX_MODULE: u64 = 64 << 20;

/// The module's file.
fn module(target: Target, path: &Path) -> Result<File, CommandError> {
    if target == Target::Istio {
        return Err(CommandError::Usage(
            "--wasm is for envoy and compose: Istio loads the filter from a registry".to_owned(),
        ));
    }
    let mut content = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_MODULE).read_to_end(&mut content))
        .map_err(|error| CommandError::Input {
            path: path.to_owned(),
            error,
        })?;
    if !content.starts_with(b"\0asm") {
        return Err(CommandError::Content {
            name: shown(path),
            problem: "no Wasm module: `make wasm` builds target/edge_claims.wasm".to_owned(),
        });
    }
    Ok(File {
        name: "edge_claims.wasm",
        content,
        is_secret: false,
    })
}

/// A path for a terminal.
fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

#[cfg(test)]
mod tests;
