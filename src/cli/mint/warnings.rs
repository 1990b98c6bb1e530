//! Tells whether the config would accept a new token, by the filter's own verifier.

use super::Options;
use crate::cli::keys::file::warn;
use crate::cli::keys::json::object;
use crate::cli::keys::private::PrivateKey;
use crate::cli::token::checks::Subject;
use crate::cli::token::explain::explain;
use crate::config::Config;
use crate::json::Json;
use crate::token::examine::Examination;
use crate::token::{
    CacheLimits, Check, Issuer, KeySet, LiveRequest, Portable, RequestBinding, Secret, Verifier,
};

/// Prints warnings on stderr: what the config would refuse the token for, and whether it lacks the key.
pub(super) fn print(
    token: &str,
    key: &PrivateKey,
    config: &Config,
    issuer: &Issuer,
    options: &Options,
) {
    if options.target.is_some() && issuer.bind == RequestBinding::default() {
        warn("the config binds no tokens of this issuer: --for has no effect");
    }
    let examination = examine(token, with_key(issuer, key), key, options);
    match (&examination.error, examination.check) {
        (Some(_), Check::Binding) if options.target.is_none() => {
            warn("the config binds tokens to a request: give it with --for");
        }
        (Some(error), _) => {
            let subject = Subject::new(token, config, options.target.as_ref(), options.now());
            let why = explain(&examination, &subject);
            let reason = error.reason_after_fetch();
            let (status, code) = (reason.status(), reason.code());
            warn(format!(
                "the config refuses this token: {status} {code}: {why}"
            ));
        }
        (None, _) => {}
    }
    // The keys of a server are not known here. A secret is known by its `kid`, not by its bytes.
    if issuer.remote.is_none() {
        let examination = examine(token, issuer.clone(), key, options);
        let lacks_key = matches!(examination.check, Check::Key | Check::Signature);
        if examination.error.is_some() && lacks_key {
            warn(match key.public_jwk() {
                Some(_) => {
                    "the config does not have this key: add what `edge-claims keys jwks` prints to \
                     keys.inline"
                }
                None => "the config does not have the kid of this secret: add it to keys.secrets",
            });
        }
    }
}

/// The issuer with this key as its only one.
fn with_key(issuer: &Issuer, key: &PrivateKey) -> Issuer {
    let set = key.public_jwk().map(|jwk| {
        let set = object([("keys", Json::Array(vec![jwk.clone()]))]);
        KeySet::inline(&set).unwrap_or_default()
    });
    let secrets = match set {
        Some(_) => Vec::new(),
        None => vec![Secret {
            env: String::new(),
            kid: key.kid().map(str::to_owned),
        }],
    };
    Issuer {
        inline: set.unwrap_or_default(),
        remote: None,
        secrets,
        ..issuer.clone()
    }
}

fn examine(token: &str, issuer: Issuer, key: &PrivateKey, options: &Options) -> Examination {
    let limits = CacheLimits {
        entries: 0,
        bytes: 0,
    };
    let secret = |_: &str| key.secret().map(<[u8]>::to_vec);
    let mut verifier: Verifier<()> = Verifier::new(vec![issuer], limits, 0, &secret);
    let none = LiveRequest {
        method: b"",
        path: b"",
        host: b"",
    };
    let live = options.target.as_ref().map_or(none, |target| target.live());
    let now_ms = options.now().saturating_mul(1_000);
    verifier.examine(token.as_bytes(), &live, now_ms, &Portable)
}
