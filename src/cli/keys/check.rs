//! `keys check`: reads a key set with the filter's own reader and tells what it makes of each key.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::json::{compact, number, object, optional, string, strings};
use super::{fetch, file};
use crate::cli::text::printable;
use crate::cli::{Answer, CommandError};
use crate::json::Json;
use crate::token::jwks::KeySetError;
use crate::token::{Algorithm, KeySet, PublicKey};

/// Check a JWKS as the filter reads it.
///
/// Tells for each key its `kid`, its algorithms, its type and size, and its RFC 7638 thumbprint, or why the
/// filter refuses it. A URL is fetched as the filter does: one GET without redirects, status 200, at most
/// 64 KiB, at most 64 keys. Certificates are checked against the public root CAs of Mozilla; for a server with
/// another CA, fetch with another tool and use `-`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct CheckOptions {
    /// An http or https URL, or a file; `-` for stdin
    #[arg(value_name = "URL-or-FILE")]
    source: String,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims keys check https://keys.example.com/.well-known/jwks.json
  edge-claims keys check jwks.json --format json
  curl -s --cacert ca.pem https://keys.internal/jwks.json | edge-claims keys check -

Exit codes:
  0  the filter accepts every key
  1  the filter refuses a key, or the whole set
  2  wrong usage, or the source cannot be read";

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Text for a terminal
    Text,
    /// One JSON object
    Json,
}

/// What the filter makes of a key set.
struct Findings {
    keys: Vec<Finding>,
    /// Why it refuses the set as a whole.
    problem: Option<String>,
}

struct Finding {
    kid: Option<String>,
    result: Result<Accepted, String>,
}

struct Accepted {
    algorithms: Vec<Algorithm>,
    kty: &'static str,
    crv: Option<&'static str>,
    bits: usize,
    thumbprint: String,
}

/// Checks a key set.
///
/// # Errors
/// A [`CommandError`]
pub(super) fn run(options: &CheckOptions, output: &mut impl Write) -> Result<Answer, CommandError> {
    let source = &options.source;
    let (name, bytes) = if fetch::is_url(source) {
        (printable(source), fetch::get(source)?)
    } else {
        let path = PathBuf::from(source);
        let (bytes, _) = file::read_bytes(&path)?;
        (file::name_of(Path::new(source)), bytes)
    };
    let findings = examine(&bytes);
    match options.format {
        Format::Text => findings.print(&name, output)?,
        Format::Json => writeln!(output, "{}", compact(&findings.json(&name)))?,
    }
    let accepted = findings.problem.is_none() && findings.refused() == 0;
    Ok(if accepted { Answer::Yes } else { Answer::No })
}

/// Reads a set as the filter reads a fetched one. A single key is read as a set of one, so that its own
/// problems are told as well.
fn examine(bytes: &[u8]) -> Findings {
    let json = Json::parse_strict(bytes).ok();
    let single = json.as_ref().filter(|json| {
        json.as_object()
            .is_some_and(|jwk| jwk.get("kty").is_some() && jwk.get("keys").is_none())
    });
    if let Some(jwk) = single {
        let set = object([("keys", Json::Array(vec![jwk.clone()]))]);
        let findings = examine(compact(&set).as_bytes());
        return Findings {
            problem: Some(
                "not a JWKS but a single key: must be an object with a list named \"keys\""
                    .to_owned(),
            ),
            ..findings
        };
    }
    let listed = json
        .as_ref()
        .and_then(|json| json.as_object()?.get("keys")?.as_array())
        .unwrap_or_default();
    let (set, problems, problem) = match KeySet::fetched(bytes) {
        Ok((set, problems)) => (set, problems, None),
        // The reader does not tell the problems of a set without a usable key.
        Err(error @ KeySetError::Empty) => {
            let set = object([("keys", Json::Array(listed.to_vec()))]);
            let problems = KeySet::inline(&set).err().unwrap_or_default();
            (KeySet::default(), problems, Some(error))
        }
        Err(error) => (KeySet::default(), Vec::new(), Some(error)),
    };
    let mut accepted = set.iter();
    let keys = listed.iter().enumerate().filter_map(|(index, jwk)| {
        let refused = problems.iter().find_map(|problem| match problem {
            KeySetError::Key { index: at, problem } if *at == index => Some(problem.to_string()),
            _ => None,
        });
        let result = match refused {
            Some(problem) => Err(problem),
            None => Ok(Accepted::new(accepted.next()?)),
        };
        let kid = jwk.as_object().and_then(|jwk| jwk.get("kid")?.as_str());
        Some(Finding {
            kid: kid.map(str::to_owned),
            result,
        })
    });
    Findings {
        keys: keys.collect(),
        problem: problem.map(|problem| problem.to_string()),
    }
}

impl Accepted {
    fn new(key: &PublicKey) -> Self {
        let (kty, crv, bits) = key.kind();
        Self {
            algorithms: key.algorithms().to_vec(),
            kty,
            crv,
            bits,
            thumbprint: key.thumbprint().to_owned(),
        }
    }

    /// `EC P-256`, `RSA 2048 bits`.
    fn kind(&self) -> String {
        match self.crv {
            Some(crv) => format!("{} {crv}", self.kty),
            None => format!("{} {} bits", self.kty, self.bits),
        }
    }

    fn algorithms(&self) -> Vec<&'static str> {
        self.algorithms.iter().map(|one| one.name()).collect()
    }
}

impl Findings {
    fn refused(&self) -> usize {
        self.keys.iter().filter(|key| key.result.is_err()).count()
    }

    fn print(&self, name: &str, output: &mut impl Write) -> Result<(), CommandError> {
        let (count, refused) = (self.keys.len(), self.refused());
        let keys = if count == 1 { "key" } else { "keys" };
        writeln!(output, "{name}: {count} {keys}, {refused} refused")?;
        for (index, key) in self.keys.iter().enumerate() {
            let kid = key.kid.as_deref().map_or_else(
                || "no kid".to_owned(),
                |kid| format!("kid {}", printable(kid)),
            );
            match &key.result {
                Ok(accepted) => {
                    writeln!(output, "  keys[{index}]  ok       {kid}")?;
                    let algorithms = accepted.algorithms().join(" ");
                    writeln!(output, "           {}, for {algorithms}", accepted.kind())?;
                    writeln!(output, "           thumbprint {}", accepted.thumbprint)?;
                }
                Err(problem) => {
                    writeln!(output, "  keys[{index}]  refused  {kid}")?;
                    writeln!(output, "           {}", printable(problem))?;
                }
            }
        }
        if let Some(problem) = &self.problem {
            writeln!(output, "The filter refuses the set: {}", printable(problem))?;
        } else if refused > 0 {
            writeln!(
                output,
                "From a key server (keys.remote), the filter uses the other keys; as keys.inline, it \
                 refuses the config."
            )?;
        }
        Ok(())
    }

    fn json(&self, name: &str) -> Json {
        let keys = self.keys.iter().map(|key| {
            let kid = ("kid", optional(key.kid.as_ref()));
            match &key.result {
                Ok(accepted) => object([
                    kid,
                    ("accepted", Json::Bool(true)),
                    ("algorithms", strings(accepted.algorithms())),
                    ("kty", string(accepted.kty)),
                    ("crv", optional(accepted.crv)),
                    ("bits", number(accepted.bits)),
                    ("thumbprint", string(&accepted.thumbprint)),
                ]),
                Err(problem) => object([
                    kid,
                    ("accepted", Json::Bool(false)),
                    ("problem", string(problem)),
                ]),
            }
        });
        object([
            ("source", string(name)),
            ("keys", Json::Array(keys.collect())),
            ("refused", number(self.refused())),
            ("problem", optional(self.problem.as_ref())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::token::tests::support;

    fn findings(set: &serde_json::Value) -> Findings {
        examine(set.to_string().as_bytes())
    }

    #[test]
    fn each_key_has_its_own_finding() {
        let mut private = support::jwk("p384");
        private["d"] = "AAAA".into();
        let set = json!({"keys": [support::jwk("rsa"), private, support::jwk("ed25519"), 7]});
        let findings = findings(&set);
        assert_eq!(findings.problem, None);
        assert_eq!(findings.refused(), 2);
        let accepted: Vec<bool> = findings.keys.iter().map(|key| key.result.is_ok()).collect();
        assert_eq!(accepted, [true, false, true, false]);
        let kinds: Vec<String> = findings
            .keys
            .iter()
            .filter_map(|key| Some(key.result.as_ref().ok()?.kind()))
            .collect();
        assert_eq!(kinds, ["RSA 2048 bits", "OKP Ed25519"]);
        let problem = findings.keys[1].result.as_ref().err().unwrap();
        assert!(problem.contains("part of a private key"), "{problem}");
    }

    #[test]
    fn a_set_without_a_usable_key_still_tells_why() {
        let findings = findings(&json!({"keys": [{"kty": "oct", "k": "AAAA", "kid": "s"}]}));
        assert!(findings.problem.is_some());
        let problem = findings.keys[0].result.as_ref().err().unwrap();
        assert!(problem.contains("shared secrets belong"), "{problem}");
        assert_eq!(findings.keys[0].kid.as_deref(), Some("s"));
    }

    #[test]
    fn a_single_private_key_is_no_set_and_is_told_to_be_private() {
        let mut private = support::jwk("p256");
        private["d"] = "AAAA".into();
        let findings = findings(&private);
        assert!(findings.problem.unwrap().contains("a single key"));
        assert!(
            findings.keys[0]
                .result
                .as_ref()
                .err()
                .unwrap()
                .starts_with("d: ")
        );
    }

    #[test]
    fn what_is_no_set_is_refused_as_a_whole() {
        for bytes in [
            &b""[..],
            b"{",
            b"[]",
            b"{\"keys\":{}}",
            b"\xff",
            b"{\"keys\":[]}",
        ] {
            let findings = examine(bytes);
            assert!(findings.problem.is_some() && findings.keys.is_empty());
        }
    }
}
