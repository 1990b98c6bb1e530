//! The arguments of `edge-claims mint`.

use std::path::PathBuf;

use clap::Args;

use super::target::Target;
use crate::cli::clock;
use crate::cli::keys::new::algorithm;
use crate::config::time::parse_duration;
use crate::json::Json;
use crate::token::Algorithm;

/// Sign a token for development and tests with a local key.
///
/// Prints the token on stdout and nothing else. With --config, the issuer, the audience, the claim of the
/// roles, `typ`, the lifetime, the ID of a one-use token and the correlation ID are what the config asks for,
/// and stderr warns if the config would refuse the token. Production tokens come from your edge: keep its keys
/// away from this command.
///
/// --claim wins over all other options, and these win over --claims. --config fills in what is missing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// The file with the private key or the secret, a JWK; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The file with the config that the token is for; `-` for stdin
    #[arg(long, value_name = "CONFIG")]
    pub config: Option<PathBuf>,
    /// The config whose title contains this text, if the file has several
    #[arg(long, value_name = "TITLE", requires = "config")]
    pub select: Option<String>,
    /// `iss`. With --config: which of its issuers, if there are several
    #[arg(long, value_name = "ISS")]
    pub issuer: Option<String>,
    /// `aud`; several make a list. Default with --config: the issuer's first audience
    #[arg(long, value_name = "AUD")]
    pub audience: Vec<String>,
    /// `sub`
    #[arg(long, value_name = "SUB")]
    pub subject: Option<String>,
    /// A role, in the claim that the config names, without a config in `roles`; may be repeated
    #[arg(long, value_name = "ROLE")]
    pub role: Vec<String>,
    /// A top-level claim, like 'tenant="a"' or level=2; `null` leaves the claim out; may be repeated
    #[arg(long, value_name = "NAME=JSON", value_parser = claim)]
    pub claim: Vec<(String, Json)>,
    /// Claims to start from: a JSON object, or @FILE with one; @- for stdin
    #[arg(long, value_name = "JSON|@FILE")]
    pub claims: Option<String>,
    /// The lifetime, like 30s, 5m or 24h. Default: 5m, or the issuer's `max_lifetime` if that is shorter
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    pub ttl: Option<u64>,
    /// The time of issue, like 2026-01-01T00:00:00Z. Default: the clock
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    pub now: Option<u64>,
    /// The request that the token is bound to, in the claims of the config's `bind`
    #[arg(long = "for", value_name = "METHOD URL", value_parser = Target::parse, requires = "config")]
    pub target: Option<Target>,
    /// The algorithm, if the key does not name one. Default: the first of the issuer that fits the key
    #[arg(long, value_name = "ALG", value_parser = algorithm())]
    pub alg: Option<Algorithm>,
    /// `typ` of the header. Default: the issuer's `type`, else JWT
    #[arg(long = "type", value_name = "TYP")]
    pub token_type: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims mint --key signing.jwk --issuer https://edge.example.com \\
    --audience mesh.example.com --subject alice --role reader
  edge-claims mint --key signing.jwk --config config.yaml --subject alice --ttl 1m \\
    --for 'POST https://shop.example.com/orders?draft=1'
  curl -H \"x-edge-claims: $(edge-claims mint --key signing.jwk --config config.yaml)\" …

Exit codes:
  0  the token is on stdout, possibly with warnings on stderr
  2  wrong usage, or a file cannot be read";

impl Options {
    /// The time of issue, in seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.now.unwrap_or_else(clock::now)
    }
}

fn seconds(text: &str) -> Result<u64, String> {
    parse_duration(text)
        .filter(|milliseconds| milliseconds.checked_rem(1_000) == Some(0))
        .and_then(|milliseconds| milliseconds.checked_div(1_000))
        // A token that lives for a century is a mistake, and its `exp` must be a year that can be written.
        .filter(|seconds| *seconds <= 36_600 * 86_400)
        .ok_or_else(|| "must be a duration in whole seconds, like 30s, 5m or 24h".to_owned())
}

fn claim(text: &str) -> Result<(String, Json), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("must be NAME=JSON, like level=2")?;
    let value = Json::parse_strict(value.as_bytes()).map_err(|error| {
        format!("the value is not JSON ({error}); a string needs quotes: '{name}=\"text\"'")
    })?;
    Ok((name.to_owned(), value))
}
