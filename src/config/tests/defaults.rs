//! Defaults.

use serde_json::json;

use super::{accepted, errors_of, largest, smallest};
use crate::claims::ClaimPath;
use crate::config::Mode;
use crate::denial::Reason;
use crate::identity::OnSpoof;
use crate::policy::authority_port::AuthorityPort;
use crate::policy::path::{Ambiguity, PathRules};
use crate::policy::peer::PeerValidation;
use crate::policy::percent::Percent;
use crate::record::{AccessField, Subject};
use crate::reply::Detail;

#[test]
fn defaults_are_strict() {
    let config = accepted(&smallest());
    assert_eq!(config.mode, Mode::Enforce);

    let claims = &config.claims;
    assert_eq!(claims.header, "x-edge-claims");
    assert_eq!(claims.prefix, "");
    assert!(!claims.forward && !claims.portable);
    assert_eq!((claims.max_bytes, claims.cache_entries), (8192, 4096));

    let issuer = &claims.issuers[0];
    assert_eq!(issuer.leeway, 10);
    assert_eq!(
        (issuer.max_age, issuer.max_lifetime, issuer.not_after),
        (None, None, None)
    );
    assert!(issuer.token_type.is_none() && issuer.require.is_empty() && issuer.one_use.is_none());
    assert!(issuer.remote.is_none() && issuer.secrets.is_empty());
    assert!(
        issuer.bind.method.is_none() && issuer.bind.path.is_none() && issuer.bind.host.is_none()
    );
    assert!(issuer.bind.path_and_query.is_none());
    assert!(issuer.revoked.kids.is_empty() && issuer.revoked.subjects.is_empty());
    assert!(issuer.revoked.thumbprints.is_empty() && issuer.revoked.token_ids.is_empty());

    let rbac = &config.rbac;
    assert!(!rbac.cors_preflight && !rbac.default_authenticated);
    assert_eq!(rbac.peer_validation, PeerValidation::Reported);
    assert_eq!(rbac.authority_port, AuthorityPort::Strip);
    for class in Ambiguity::ALL {
        assert!(PathRules::default().rejects(class), "{class}");
    }
    let route = &rbac.routes.routes()[0];
    assert!(!route.shadow);
    assert_eq!(route.enforce_percent, Percent::ALL);
    assert!(route.hosts.is_empty() && route.methods.is_empty());
    assert!(
        Reason::ALL
            .iter()
            .all(|reason| route.status(*reason) == reason.status())
    );

    assert!(config.identity.headers.is_empty());
    assert_eq!(config.identity.on_spoof, OnSpoof::Strip);
    assert_eq!(
        config.identity.strip,
        [
            "x-http-method-override",
            "x-method-override",
            "x-http-method",
            "x-original-url",
            "x-rewrite-url",
            "x-override-url",
            "x-original-method",
            "x-original-uri",
            "x-forwarded-method",
            "x-forwarded-uri",
            "x-forwarded-path",
            "x-envoy-original-path",
            "x-middleware-subrequest"
        ]
    );

    let correlation = &config.correlation;
    assert_eq!(correlation.header, "x-correlation-id");
    assert_eq!(correlation.claim, Some(ClaimPath::from("cid")));
    assert_eq!(correlation.accept, ["x-correlation-id"]);
    assert!(correlation.response_header);

    assert_eq!(config.responses.detail, Detail::Code);
    assert_eq!(config.responses.realm, "mesh");
    assert_eq!(config.responses.docs_url, None);

    let log = &config.log;
    assert_eq!((log.allow, log.deny, log.shadow), (0.0, 1.0, 1.0));
    assert_eq!(log.subject, Subject::Hash);
    assert_eq!(log.hash_key_env, None);
    assert_eq!(
        log.access_fields,
        [AccessField::CorrelationId, AccessField::Verdict]
    );
}

#[test]
fn sections_have_documented_defaults() {
    let mut config = smallest();
    config["claims"]["issuers"][0]["keys"] =
        json!({"remote": {"url": "https://k.example/jwks", "cluster": "k"}});
    config["claims"]["issuers"][0]["one_use"] = json!({});
    config["correlation"] = json!({"header": "x-cid"});
    config["identity"] = json!({"strip": []});
    let config = accepted(&config);
    let remote = config.claims.issuers[0].remote.as_ref().unwrap();
    assert_eq!(
        (remote.refresh, remote.timeout, remote.max_stale),
        (300, 2_000, 86_400)
    );
    let one_use = config.claims.issuers[0].one_use.as_ref().unwrap();
    assert_eq!(
        (&one_use.claim, one_use.entries),
        (&ClaimPath::from("jti"), 100_000)
    );
    // The ID is accepted from the same header that is set.
    assert_eq!(config.correlation.accept, ["x-cid"]);
    assert!(config.identity.strip.is_empty());
}

#[test]
fn every_key_of_a_config_is_applied() {
    let config = accepted(&largest());
    assert_eq!(config.claims.prefix, "Bearer ");
    assert!(config.claims.forward && config.claims.portable);
    let issuer = &config.claims.issuers[0];
    assert_eq!(
        (issuer.leeway, issuer.max_age, issuer.max_lifetime),
        (5, Some(600), Some(3_600))
    );
    assert_eq!(issuer.not_after, Some(1_798_761_600));
    assert_eq!(issuer.require.len(), 2);
    assert_eq!(issuer.bind.path_and_query, Some(ClaimPath::from("htu")));
    assert_eq!(issuer.revoked.thumbprints.len(), 1);
    let remote = issuer.remote.as_ref().unwrap();
    assert_eq!(
        (remote.refresh, remote.timeout, remote.max_stale),
        (60, 500, 7_200)
    );
    assert_eq!(config.claims.issuers[1].audiences, None);
    assert_eq!(config.claims.issuers[1].secrets.len(), 2);
    let rbac = &config.rbac;
    assert!(rbac.cors_preflight && rbac.default_authenticated);
    assert_eq!(rbac.peer_validation, PeerValidation::ByListener);
    assert_eq!(rbac.authority_port, AuthorityPort::Keep);
    let route = &rbac.routes.routes()[0];
    assert!(route.shadow);
    assert_eq!(route.enforce_percent.get(), 50);
    assert_eq!(route.status(Reason::KeysUnavailable), 500);
    assert_eq!(route.status(Reason::Role), 404);
    assert_eq!(route.access.alternatives().len(), 3);
    assert_eq!(config.identity.on_spoof, OnSpoof::Reject);
    assert_eq!(config.correlation.accept, ["x-correlation-id", "x-id"]);
    assert!(!config.correlation.response_header);
    assert_eq!(config.responses.detail, Detail::None);
    assert_eq!(
        (config.log.allow, config.log.deny, config.log.shadow),
        (0.5, 1.0, 0.0)
    );
    assert_eq!(config.log.access_fields.len(), 10);
}

/// In YAML, a key without a value is `null`; ignoring it could allow more than intended.
#[test]
fn null_is_not_treated_as_absent() {
    let mut config = smallest();
    config["rbac"]["routes"][0]["allow"] =
        json!({"any_role": null, "issuers": ["https://edge.example.com"]});
    config["rbac"]["routes"][0]["hosts"] = json!(null);
    config["identity"] = json!(null);
    config["claims"]["issuers"][0]["audiences"] = json!(null);
    let expected = "is null, must be a value; remove the key to leave it unset";
    let errors = errors_of(&config.to_string());
    for place in [
        "claims.issuers[0].audiences",
        "rbac.routes[0].hosts",
        "rbac.routes[0].allow.any_role",
        "identity",
    ] {
        assert!(
            errors.contains(&format!("{place}: {expected}")),
            "{place}: {errors:#?}"
        );
    }
    assert_eq!(errors.len(), 4, "one for each: {errors:#?}");
}
