//! `keys new`: writes a new private key.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::file::{self, name_of};
use super::generate::{self, NewKey};
use super::json::pretty;
use crate::cli::text::printable;
use crate::cli::{Answer, CommandError};
use crate::token::{Algorithm, Family};

/// Generate a private key or a shared secret.
///
/// The key is written as a JWK (RFC 7517) to a new file that only its owner can read (mode 0600). The terminal
/// shows its name and its `kid`, never the key.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct NewOptions {
    /// The algorithm that the key signs with
    #[arg(long, value_name = "ALG", value_parser = algorithm())]
    alg: Algorithm,
    /// The key's ID. Default: its RFC 7638 thumbprint; a random one for a secret
    #[arg(long, value_name = "KID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    kid: Option<String>,
    /// The file to create
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The size of an RSA key: 2048, 3072 or 4096. Default: 2048
    #[arg(long, value_name = "BITS", value_parser = ["2048", "3072", "4096"])]
    bits: Option<String>,
    /// HS* only: also write the bare secret to this new file, for the environment variable of the config's
    /// `keys.secrets`
    #[arg(long, value_name = "FILE")]
    secret_out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims keys new --alg ES256 --out signing.jwk
  edge-claims keys new --alg PS256 --bits 3072 --kid edge-2026-01 --out signing.jwk
  edge-claims keys new --alg HS256 --out shared.jwk --secret-out shared.secret

Exit codes:
  0  done
  2  wrong usage, or the file exists or cannot be written";

/// Parses the name of an algorithm.
pub(in crate::cli) fn algorithm() -> impl TypedValueParser<Value = Algorithm> {
    PossibleValuesParser::new(Algorithm::ALL.map(Algorithm::name))
        .try_map(|name| Algorithm::from_name(&name).ok_or("unknown algorithm"))
}

/// Writes a new key.
///
/// # Errors
/// A [`CommandError`]
pub(super) fn run(options: &NewOptions, output: &mut impl Write) -> Result<Answer, CommandError> {
    let is_rsa = matches!(options.alg.family(), Family::RsaPkcs1 | Family::RsaPss);
    let usage = |problem: &str| Err(CommandError::Usage(problem.to_owned()));
    if options.bits.is_some() && !is_rsa {
        return usage("--bits is for RS* and PS* only; the size of other keys follows from --alg");
    }
    if options.secret_out.is_some() && !options.alg.is_symmetric() {
        return usage("--secret-out is for HS* only; other algorithms have no shared secret");
    }
    let files = [Some(&options.out), options.secret_out.as_ref()];
    if files
        .into_iter()
        .flatten()
        .any(|path| path.as_os_str() == "-")
    {
        return usage("a private key is not written to stdout; name a file");
    }
    if options.secret_out.as_ref() == Some(&options.out) {
        return usage("--out and --secret-out must be two files");
    }
    if let (Some(path), false) = (&options.secret_out, options.force) {
        file::refuse_existing(path)?;
    }
    let bits = options.bits.as_deref().and_then(|bits| bits.parse().ok());
    let new = generate::generate(options.alg, bits.unwrap_or(2048), options.kid.as_deref());
    let NewKey { jwk, kid, secret } = new.ok_or_else(|| CommandError::Create {
        path: options.out.clone(),
        error: std::io::Error::other("the operating system has no random bytes"),
    })?;
    let text = format!("{}\n", pretty(&jwk));
    file::write_secret(&options.out, text.as_bytes(), options.force)?;
    let (alg, kid) = (options.alg, printable(&kid));
    writeln!(output, "{}: {alg}, kid {kid}", name_of(&options.out))?;
    if let (Some(path), Some(secret)) = (&options.secret_out, secret) {
        file::write_secret(path, secret.as_bytes(), options.force)?;
        writeln!(output, "{}: the bare secret", name_of(path))?;
    }
    Ok(Answer::Yes)
}
