//! Tells how the verification of one token went, check by check, for the command.

use super::{LiveRequest, Verifier};
use crate::claims::{ClaimPath, Claims};
use crate::token::checks;
use crate::token::keyring::Chosen;
use crate::token::progress::{Check, Progress};
use crate::token::verified::Times;
use crate::token::{Algorithm, Issuer, Jws, RequestBinding, SignatureBackend, VerifyError};

/// How the verification of a token went.
#[derive(Debug)]
pub(crate) struct Examination {
    /// The check that failed, or the last one.
    pub(crate) check: Check,
    /// Why it failed; `None` if the token is accepted.
    pub(crate) error: Option<VerifyError>,
    /// The key that was chosen, if there is one.
    pub(crate) key: Option<ExaminedKey>,
    /// `exp`, `nbf` and `iat` as the checks read them, if the token has the shape of one.
    pub(crate) times: Times,
}

/// The key that was chosen for a token.
#[derive(Debug)]
pub(crate) struct ExaminedKey {
    /// Where it comes from.
    pub(crate) source: KeySource,
    /// Its `kid`.
    pub(crate) kid: Option<String>,
    /// Its RFC 7638 thumbprint; `None` for a secret.
    pub(crate) thumbprint: Option<String>,
}

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// `keys.inline`
    Inline,
    /// `keys.remote`
    Remote,
    /// `keys.secrets`
    Secret,
}

impl<D> Verifier<D> {
    /// Verifies a token as [`Verifier::verify`] does, without the cache.
    pub(crate) fn examine(
        &mut self,
        token: &[u8],
        live: &LiveRequest<'_>,
        now_ms: u64,
        backend: &dyn SignatureBackend,
    ) -> Examination {
        let mut progress = Progress::default();
        let result = self.verify_fresh(token, live, now_ms, backend, &mut progress);
        let jws = Jws::parse(token).ok();
        let state = jws.as_ref().and_then(|jws| {
            let name = jws.issuer()?;
            self.issuers.iter().find(|state| state.issuer.name == name)
        });
        let chosen = jws.as_ref().zip(state).and_then(|(jws, state)| {
            let algorithm = Algorithm::from_name(&jws.algorithm)?;
            let now = now_ms.checked_div(1_000)?;
            let kid = jws.kid.as_deref();
            state.keys.choose(kid, algorithm, now).ok()
        });
        Examination {
            check: progress.check,
            error: result.err(),
            key: chosen.map(|chosen| ExaminedKey {
                source: match chosen {
                    Chosen::Inline(_) => KeySource::Inline,
                    Chosen::Remote(_) => KeySource::Remote,
                    Chosen::Secret { .. } => KeySource::Secret,
                },
                kid: chosen.kid().map(str::to_owned),
                thumbprint: chosen.public_key().map(|key| key.thumbprint().to_owned()),
            }),
            times: jws.map(|jws| jws.times).unwrap_or_default(),
        }
    }
}

/// The bindings that do not hold: the config's key and its claim.
pub(crate) fn failed_bindings(
    issuer: &Issuer,
    claims: &Claims,
    live: &LiveRequest<'_>,
) -> Vec<(&'static str, ClaimPath)> {
    let alone = |key, claim: &Option<ClaimPath>, bind: RequestBinding| {
        let issuer = Issuer {
            bind,
            ..issuer.clone()
        };
        let failed = checks::bound(&issuer, claims, live).is_err();
        claim.clone().filter(|_| failed).map(|claim| (key, claim))
    };
    let none = RequestBinding::default();
    let RequestBinding {
        method,
        path,
        path_and_query,
        host,
    } = &issuer.bind;
    [
        alone(
            "method",
            method,
            RequestBinding {
                method: method.clone(),
                ..none.clone()
            },
        ),
        alone(
            "path",
            path,
            RequestBinding {
                path: path.clone(),
                ..none.clone()
            },
        ),
        alone(
            "path_and_query",
            path_and_query,
            RequestBinding {
                path_and_query: path_and_query.clone(),
                ..none.clone()
            },
        ),
        alone(
            "host",
            host,
            RequestBinding {
                host: host.clone(),
                ..none.clone()
            },
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
