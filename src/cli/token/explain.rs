//! Why a check failed, in words.

use super::checks::{Subject, key, quoted};
use super::words::{relative, rfc3339, span};
use crate::claims::ClaimPath;
use crate::cli::keys::json::compact;
use crate::cli::mint::policy;
use crate::cli::text::printable;
use crate::denial::Reason;
use crate::token::examine::{self, Examination};
use crate::token::{Check, Issuer, Jws, KeyAbsence, LiveRequest, VerifyError};

/// What is wrong with a token whose parts can be read.
pub(super) const MALFORMED: &str = "a registered member has the wrong type, `alg` is missing, or a member \
     is not accepted (crit, b64, zip, salt, jwk)";

/// Why the check failed that failed.
pub(in crate::cli) fn explain(examination: &Examination, subject: &Subject<'_>) -> String {
    let Some(error) = &examination.error else {
        return String::new();
    };
    let reason = error.reason_after_fetch();
    let (Some(jws), Some(issuer)) = (&subject.jws, subject.issuer) else {
        return match (&subject.jws, subject.problem) {
            (Some(jws), _) => {
                let issuers = policy::names(subject.config);
                let iss = jws.issuer().map_or("no iss".to_owned(), quoted);
                format!("{iss}: must be one of {issuers}")
            }
            (None, Some(problem)) => problem.to_owned(),
            (None, None) => MALFORMED.to_owned(),
        };
    };
    match examination.check {
        Check::Shape => String::new(),
        Check::Issuer => issuer.not_after.map_or_else(String::new, |end| {
            format!(
                "not_after was {} ({})",
                relative(subject.now, end),
                rfc3339(end)
            )
        }),
        Check::Algorithm => {
            let allowed: Vec<&str> = issuer.algorithms.iter().map(|one| one.name()).collect();
            let alg = printable(&jws.algorithm);
            format!("alg {alg}: the issuer allows {}", allowed.join(", "))
        }
        Check::Key => subject.key_problem(error, examination),
        Check::Signature => {
            "not valid for this key: another key signed it, or it was changed".to_owned()
        }
        Check::Type => {
            let typ = jws
                .token_type
                .as_deref()
                .map_or("no typ".to_owned(), quoted);
            let expected = issuer.token_type.as_deref().unwrap_or_default();
            format!("{typ}: must be {}", quoted(expected))
        }
        Check::Times => subject.times_problem(reason, issuer, examination),
        Check::Audience => {
            let aud = jws.claims.get("aud").map_or("no aud".to_owned(), compact);
            let accepted = issuer.audiences.as_deref().unwrap_or_default();
            let accepted: Vec<String> = accepted.iter().map(|one| quoted(one)).collect();
            format!("aud {aud}: must be or list one of {}", accepted.join(", "))
        }
        Check::Lifetime => {
            let (Some(iat), Some(exp)) = (examination.times.issued_at, examination.times.expiry)
            else {
                return "no iat, which max_lifetime needs".to_owned();
            };
            let longest = span(issuer.max_lifetime.unwrap_or_default());
            format!(
                "exp - iat is {}, more than {longest}",
                span(exp.saturating_sub(iat))
            )
        }
        Check::Required => {
            let one_use = issuer.one_use.as_ref().map(|one_use| &one_use.claim);
            let missing = |path: &&ClaimPath| jws.claims.at(path).is_none();
            let paths = issuer
                .require
                .iter()
                .filter(missing)
                .chain(one_use.filter(missing));
            let paths: Vec<String> = paths.map(|path| printable(&path.to_string())).collect();
            if paths.is_empty() {
                "the ID of a one-use token must be a string that is not empty".to_owned()
            } else {
                format!("missing: {}", paths.join(", "))
            }
        }
        Check::Revocation => "the kid, sub or jti is on the issuer's list `revoked`".to_owned(),
        Check::Binding => subject.binding_problem(issuer, jws),
    }
}

impl Subject<'_> {
    fn key_problem(&self, error: &VerifyError, examination: &Examination) -> String {
        let kid = self.jws.as_ref().and_then(|jws| jws.kid.as_deref());
        let kid = kid.map_or("no kid".to_owned(), |kid| format!("kid {}", quoted(kid)));
        match error {
            VerifyError::KeyUnavailable {
                why: KeyAbsence::NeverFetched,
                ..
            } => {
                format!(
                    "{kid}: the keys of the server are not known; give them with --jwks ISSUER=FILE"
                )
            }
            VerifyError::KeyUnavailable { .. } => {
                format!("{kid}: neither the inline keys nor those of --jwks have it")
            }
            VerifyError::Denied(Reason::AlgorithmRefused) => {
                format!("{kid}: the key is not for the token's alg")
            }
            VerifyError::Denied(Reason::Revoked) => {
                let key = key(examination);
                format!(
                    "{}: the issuer's `revoked` lists it",
                    if key.is_empty() { kid } else { key }
                )
            }
            VerifyError::Denied(Reason::KeysUnavailable) => {
                let issuer = self.issuer.into_iter();
                let names: Vec<&str> = issuer
                    .flat_map(|issuer| &issuer.secrets)
                    .map(|secret| secret.env.as_str())
                    .collect();
                let names = printable(&names.join(", "));
                format!(
                    "{kid}: the environment has no such secret ({names}); give it with --secret NAME=FILE"
                )
            }
            VerifyError::Denied(_) if kid == "no kid" => {
                "no kid: not exactly one key of the issuer fits the token's alg".to_owned()
            }
            VerifyError::Denied(_) => format!("{kid}: the issuer has no such key"),
        }
    }

    fn times_problem(&self, reason: Reason, issuer: &Issuer, examination: &Examination) -> String {
        let times = &examination.times;
        let at = |name: &str, time: u64| {
            let verb = if time > self.now { "is" } else { "was" };
            let (relative, time) = (relative(self.now, time), rfc3339(time));
            format!("{name} {verb} {relative} ({time})")
        };
        let leeway = format!("more than the leeway of {}", span(issuer.leeway));
        match (reason, times.expiry, times.issued_at) {
            (Reason::Expired, Some(exp), _) => {
                format!("{}, leeway {}", at("exp", exp), span(issuer.leeway))
            }
            (Reason::NotYetValid, _, iat) => {
                let latest = self.now.saturating_add(issuer.leeway);
                match times.not_before.filter(|nbf| *nbf > latest) {
                    Some(nbf) => format!("{}, {leeway}", at("nbf", nbf)),
                    None => format!("{}, {leeway}", at("iat", iat.unwrap_or_default())),
                }
            }
            (Reason::TooOld, _, Some(iat)) => {
                let oldest = span(issuer.max_age.unwrap_or_default());
                format!("{}: max_age is {oldest}", at("iat", iat))
            }
            (_, None, _) => "no exp, which every token must have".to_owned(),
            _ => "no iat, which max_age needs".to_owned(),
        }
    }

    fn binding_problem(&self, issuer: &Issuer, jws: &Jws<'_>) -> String {
        let Some(target) = self.target else {
            return "the token is bound to a request; give it with --for 'METHOD URL'".to_owned();
        };
        let live: LiveRequest<'_> = target.live();
        let failed = examine::failed_bindings(issuer, &jws.claims, &live).into_iter();
        let failed: Vec<String> = failed
            .map(|(key, claim)| {
                let value = jws.claims.at(&claim);
                let value = value.map_or("missing".to_owned(), compact);
                let sent = match key {
                    "method" => &target.method,
                    "path" => target.path_only(),
                    "host" => &target.host,
                    _ => &target.path,
                };
                let (claim, sent) = (printable(&claim.to_string()), quoted(sent));
                format!("bind.{key}: the claim {claim} is {value}, the request has {sent}")
            })
            .collect();
        failed.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::mint::target::Target;
    use crate::config::{self, Config};
    use crate::token::tests::support::{self, CLAIMS, NOW, claims_with, claims_without, sign};
    use crate::token::{Algorithm, CacheLimits, Portable, Verifier};

    fn config() -> Config {
        let keys = [
            support::jwk("p256"),
            support::jwk("p384"),
            support::jwk("ed25519"),
        ];
        let config = serde_json::json!({
            "claims": {"issuers": [{
                "issuer": "https://edge.example.com",
                "audiences": ["mesh.example.com"],
                "algorithms": ["ES256", "ES384"],
                "keys": {"inline": {"keys": keys}},
                "type": "JWT",
                "max_age": "1m",
                "max_lifetime": "2m",
                "require": ["sub", ["act", "sub"]],
                "bind": {"method": "htm", "host": ["req", "host"]},
                "one_use": {},
                "revoked": {"kids": ["p384"], "subjects": ["mallory"]},
            }]},
            "rbac": {"routes": [{"name": "all", "path": "/{*rest}", "allow": "authenticated"}]},
        });
        config::load(config.to_string().as_bytes()).unwrap()
    }

    fn why(header: &str, claims: &str) -> (Check, String) {
        let config = config();
        let algorithm = if header.contains("ES384") {
            Algorithm::Es384
        } else {
            Algorithm::Es256
        };
        let token = sign(algorithm, header, claims);
        let target = Target::parse("GET https://shop.example.com/orders").unwrap();
        let limits = CacheLimits {
            entries: 0,
            bytes: 0,
        };
        let mut verifier: Verifier<()> =
            Verifier::new(config.claims.issuers.clone(), limits, 0, &|_| None);
        let examination =
            verifier.examine(token.as_bytes(), &target.live(), NOW * 1_000, &Portable);
        let subject = Subject::new(&token, &config, Some(&target), NOW);
        (examination.check, explain(&examination, &subject))
    }

    #[test]
    fn each_failed_check_is_explained() {
        const GOOD: &str = r#"{"alg":"ES256","kid":"p256","typ":"JWT"}"#;
        let act = r#""act":{"sub":"a"}"#;
        let rest = r#""act":{"sub":"a"},"htm":"POST""#;
        let cases = [
            (
                GOOD,
                r#"{"exp":"x"}"#.to_owned(),
                Check::Shape,
                "wrong type",
            ),
            (
                GOOD,
                claims_with(r#""iss":"https://a""#),
                Check::Issuer,
                "must be one of https://edge",
            ),
            (GOOD, claims_without("iss"), Check::Issuer, "no iss"),
            (
                r#"{"alg":"RS256"}"#,
                CLAIMS.to_owned(),
                Check::Algorithm,
                "allows ES256, ES384",
            ),
            (
                r#"{"alg":"ES256","kid":"x"}"#,
                CLAIMS.to_owned(),
                Check::Key,
                "has no such key",
            ),
            (
                r#"{"alg":"ES256","kid":"ed25519"}"#,
                CLAIMS.to_owned(),
                Check::Key,
                "not for the token's alg",
            ),
            (
                r#"{"alg":"ES384","kid":"p384"}"#,
                CLAIMS.to_owned(),
                Check::Key,
                "`revoked` lists it",
            ),
            (
                r#"{"alg":"ES384"}"#,
                CLAIMS.to_owned(),
                Check::Key,
                "`revoked` lists it",
            ),
            (
                r#"{"alg":"ES256","kid":"p256"}"#,
                CLAIMS.to_owned(),
                Check::Type,
                "no typ: must be \"JWT\"",
            ),
            (GOOD, claims_without("exp"), Check::Times, "no exp"),
            (
                GOOD,
                claims_with(r#""exp":1799999940"#),
                Check::Times,
                "exp was 1 minute ago",
            ),
            (
                GOOD,
                claims_with(r#""nbf":1800000060"#),
                Check::Times,
                "nbf is in 1 minute",
            ),
            (
                GOOD,
                claims_with(r#""iat":1800000060"#),
                Check::Times,
                "iat is in 1 minute",
            ),
            (
                GOOD,
                claims_with(r#""iat":1799999000"#),
                Check::Times,
                "max_age is 1 minute",
            ),
            (
                GOOD,
                claims_without("iat"),
                Check::Times,
                "no iat, which max_age",
            ),
            (
                GOOD,
                claims_with(r#""aud":["x"]"#),
                Check::Audience,
                "aud [\"x\"]: must be or list",
            ),
            (
                GOOD,
                claims_with(r#""exp":1800000600"#),
                Check::Lifetime,
                "more than 2 minutes",
            ),
            (
                GOOD,
                claims_without("sub"),
                Check::Required,
                "missing: sub, act.sub",
            ),
            (
                GOOD,
                claims_with(r#""jti":"","act":{"sub":"a"}"#),
                Check::Required,
                "not empty",
            ),
            (
                GOOD,
                claims_with(&format!(r#""sub":"mallory",{act}"#)),
                Check::Revocation,
                "`revoked`",
            ),
            (
                GOOD,
                claims_with(rest),
                Check::Binding,
                "htm is \"POST\", the request has \"GET\"; bind.host",
            ),
        ];
        for (header, claims, check, words) in cases {
            let (failed, text) = why(header, &claims);
            assert_eq!(failed, check, "{header} {claims}: {text}");
            assert!(text.contains(words), "{text}");
        }
    }
}
