//! What an issuer demands beside a good signature: tokens bound to a request, revoked ones, issuers for
//! emergencies, limits of age, secrets from the environment; and who computes the signatures.

use edge_claims_harness::tokens::{Key, Order, assemble, claims, from_base64url, mint, now};
use edge_claims_harness::{Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER, World, issuer, policy, until};

/// An Envoy whose issuer has these settings laid over.
fn world(settings: &Value) -> World {
    World::with(
        |config| {
            for (name, value) in settings.as_object().unwrap() {
                config["claims"]["issuers"][0][name] = value.clone();
            }
        },
        |setup| setup,
    )
}

#[test]
fn a_bound_token_is_good_for_its_request_only() {
    let world = world(&json!({"bind": {"method": "htm", "path": "htp", "host": ["req", "host"]}}));
    let token = |method: &str, path: &str, host: &str| {
        world.token(&json!({"htm": method, "htp": path, "req": {"host": host}}))
    };
    let bound = token("GET", "/me", "shop.example.com");
    let get = |path: &str| world.envoy.get(path).header(CLAIMS, &bound);
    // Twice: fresh, and from the cache.
    for _ in 0..2 {
        world.allowed(get("/me"));
        world.allowed(get("/me?page=2"));
        world.allowed(get("/me").host("Shop.Example.com:8443"));
        for request in [
            get("/me/"),
            get("/%6de"),
            get("/me").host("other.example.com"),
            world.envoy.request("POST", "/me").header(CLAIMS, &bound),
            world.envoy.request("HEAD", "/me").header(CLAIMS, &bound),
        ] {
            let response = request.send();
            assert!(response.status == 401, "{response:?}");
            assert_eq!(world.upstream.count(), 0);
        }
        world.denied(
            world.envoy.request("PUT", "/me").header(CLAIMS, &bound),
            401,
            "binding_request",
        );
    }
    let with_query = token("GET", "/me?page=2", "shop.example.com");
    let missing = world.token(&json!({"htm": "GET", "htp": "/me"}));
    for (path, token) in [
        ("/me?page=2", &with_query),
        ("/me", &with_query),
        ("/me", &missing),
    ] {
        world.denied(
            world.envoy.get(path).header(CLAIMS, token),
            401,
            "binding_request",
        );
    }
}

#[test]
fn what_is_revoked_is_refused() {
    let upstream = Upstream::start();
    let (good, bad) = (
        Key::generate("ES256", "k1"),
        Key::generate("ES256", "leaked"),
    );
    let mut settings = issuer(ISSUER, &[&good, &bad]);
    settings["revoked"] =
        json!({"kids": ["leaked"], "subjects": ["mallory"], "token_ids": ["stolen"]});
    let envoy = Setup::new(&upstream).plugin(&policy(&[settings])).start();
    let world = World {
        envoy,
        upstream,
        key: good,
    };
    world.allowed(
        world
            .envoy
            .get("/me")
            .header(CLAIMS, world.token(&json!({"jti": "mine"}))),
    );
    for token in [
        bad.sign(&claims(&json!({}))),
        world.token(&json!({"sub": "mallory"})),
        world.token(&json!({"jti": "stolen"})),
    ] {
        for _ in 0..2 {
            world.denied(
                world.envoy.get("/me").header(CLAIMS, &token),
                401,
                "revoked",
            );
        }
    }
}

#[test]
fn an_issuer_for_emergencies_ends_by_itself_and_is_loud() {
    let upstream = Upstream::start();
    let keys = ["k1", "ended", "open"].map(|kid| Key::generate("ES256", kid));
    let [regular, ended, open] = &keys;
    let with_end = |name: &str, key: &Key, end: &str| {
        let mut settings = issuer(name, &[key]);
        settings["not_after"] = json!(end);
        settings
    };
    let (name_ended, name_open) = ("https://ended.example.com", "https://open.example.com");
    let envoy = Setup::new(&upstream)
        .concurrency(2)
        .plugin(&policy(&[
            issuer(ISSUER, &[regular]),
            with_end(name_ended, ended, "2020-01-01T00:00:00Z"),
            with_end(name_open, open, "2999-01-01T00:00:00Z"),
        ]))
        .start();
    let ask = |key: &Key, name: &str| {
        let token = key.sign(&claims(&json!({"iss": name})));
        envoy.get("/me").header(CLAIMS, token).send()
    };
    assert_eq!(ask(regular, ISSUER).status, 200);
    assert_eq!(ask(open, name_open).status, 200);
    let response = ask(ended, name_ended);
    assert_eq!(response.status, 401);
    assert_eq!(response.json()["code"], "issuer_unknown");
    for (name, words) in [
        (name_ended, "has ended at 2020-01-01T00:00:00Z"),
        (name_open, "is in force until 2999-01-01T00:00:00Z"),
    ] {
        let line = envoy.wait_for_log(&format!("BREAK-GLASS issuer {name:?} {words}"));
        assert!(line.contains("[warning]"), "{line}");
    }
    until("the metric to tell", || {
        let stats = envoy.stats();
        let of = |name: &str| {
            let stat = format!("wasmcustom.issuer=.={name};.;edge_claims_break_glass");
            stats.0.get(&stat).copied()
        };
        of(name_ended) == Some(0) && of(name_open) == Some(1) && of(ISSUER).is_none()
    });
    // One worker speaks for all.
    let log = envoy.log();
    assert_eq!(log.matches("is in force until").count(), 1, "{log}");
}

#[test]
fn an_issuer_ends_for_cached_tokens_too() {
    let end = std::time::SystemTime::now() + std::time::Duration::from_secs(15);
    let seconds = end.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let world = world(&json!({"not_after": humantime::format_rfc3339_seconds(end).to_string()}));
    let token = world.token(&json!({}));
    world.allowed(world.envoy.get("/me").header(CLAIMS, &token));
    until("the end", || {
        world.envoy.get("/me").header(CLAIMS, &token).send().status == 401
    });
    assert!(now() >= i64::try_from(seconds).unwrap());
    drop(world.upstream.take());
    world.denied(
        world.envoy.get("/me").header(CLAIMS, &token),
        401,
        "issuer_unknown",
    );
}

#[test]
fn age_lifetime_and_required_claims() {
    let world = world(&json!({
        "max_age": "60s", "max_lifetime": "120s", "leeway": "5s", "require": ["sub", ["act", "sub"]],
        "type": "edge-claims+jwt",
    }));
    let now = now();
    let acting = json!({"sub": "proxy"});
    let cases = [
        (json!({}), None),
        (json!({"iat": now - 62, "exp": now + 30}), None),
        (json!({"iat": now - 70, "exp": now + 30}), Some("too_old")),
        (json!({"exp": now + 120}), None),
        (json!({"exp": now + 130}), Some("too_old")),
        (json!({"iat": null}), Some("claim_required")),
        (json!({"sub": null}), Some("claim_required")),
        (json!({"act": null}), Some("claim_required")),
        (json!({"act": {"iss": "x"}}), Some("claim_required")),
    ];
    for (changes, code) in cases {
        let mut all = json!({"act": acting, "iat": now});
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        let token = world.key.sign_typed(&claims(&all), "edge-claims+jwt");
        let request = world.envoy.get("/me").header(CLAIMS, token);
        match code {
            None => drop(world.allowed(request)),
            Some(code) => drop(world.denied(request, 401, code)),
        }
    }
    let plain = world.token(&json!({"act": acting}));
    world.denied(world.envoy.get("/me").header(CLAIMS, plain), 401, "type");
}

#[test]
fn secrets_come_from_the_environment_and_can_rotate() {
    let upstream = Upstream::start();
    let old = Key::secret(
        "HS256",
        "old",
        b"an old secret of at least 32 bytes, in plain text",
    );
    let new = Key::secret(
        "HS256",
        "new",
        b"a new secret of at least 32 bytes, in plain text",
    );
    let lost = Key::secret(
        "HS256",
        "lost",
        b"a lost secret of at least 32 bytes, in plain text",
    );
    let settings = json!({
        "issuer": ISSUER, "audiences": ["mesh.example.com"], "algorithms": ["HS256"],
        "keys": {"secrets": [
            {"env": "SECRET_NEW", "kid": "new"},
            {"env": "SECRET_OLD", "kid": "old"},
            {"env": "SECRET_LOST", "kid": "lost"},
            {"env": "SECRET_SHORT", "kid": "short"},
        ]},
    });
    let envoy = Setup::new(&upstream)
        .concurrency(2)
        .environment(
            "SECRET_OLD",
            "an old secret of at least 32 bytes, in plain text",
        )
        .environment(
            "SECRET_NEW",
            "a new secret of at least 32 bytes, in plain text",
        )
        .environment("SECRET_SHORT", "short")
        .plugin(&policy(&[settings]))
        .start();
    let world = World {
        envoy,
        upstream,
        key: new,
    };
    let with = |key: &Key| {
        world
            .envoy
            .get("/me")
            .header(CLAIMS, key.sign(&claims(&json!({}))))
    };
    world.allowed(with(&world.key));
    world.allowed(with(&old));
    let response = world.denied(with(&lost), 503, "keys_unavailable");
    assert!(response.header("retry-after").is_some());
    let short = Key::secret("HS256", "short", b"short");
    // jwt-simple refuses to sign with it.
    let header = json!({"alg": "HS256", "kid": "short"}).to_string();
    let token = mint(&[Order::raw(&short, header, claims(&json!({})).to_string())]).remove(0);
    world.denied(
        world.envoy.get("/me").header(CLAIMS, token),
        401,
        "algorithm_refused",
    );
    let swapped = Key::secret(
        "HS256",
        "old",
        b"a new secret of at least 32 bytes, in plain text",
    );
    world.denied(with(&swapped), 401, "signature_invalid");
    for name in ["SECRET_LOST", "SECRET_SHORT"] {
        let line = world.envoy.wait_for_log(name);
        assert!(line.contains("[warning]") && line.contains("claims.issuers[0].keys.secrets["));
        let lines = world.envoy.log().matches(name).count();
        assert_eq!(lines, 1, "one worker speaks for all");
    }
    let log = world.envoy.log();
    assert!(!log.contains("plain text"), "a secret is in the log");
}

#[test]
fn host_and_portable_verification_agree() {
    let algorithms = ["ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA"];
    let upstream = Upstream::start();
    let keys: Vec<Key> = algorithms
        .iter()
        .map(|name| Key::generate(name, name))
        .collect();
    let issuers = [issuer(ISSUER, &keys.iter().collect::<Vec<_>>())];
    let mut auto = policy(&issuers);
    auto["claims"]["verification"] = json!("auto");
    let mut portable = policy(&issuers);
    portable["claims"]["verification"] = json!("portable");
    let envoys =
        [auto, portable].map(|config| Setup::new(&upstream).concurrency(2).plugin(&config).start());

    let line = envoys[0].wait_for_log("the host verifies");
    assert!(
        line.contains("RS256, RS384, RS512") && line.contains("ES256, ES384, ES512"),
        "{line}"
    );
    assert_eq!(envoys[0].log().matches("the host verifies").count(), 1);
    assert!(!envoys[1].log().contains("the host verifies"));
    let by_host = |envoy: &edge_claims_harness::Envoy, algorithm: &str| {
        let stat = format!("wasmcustom.algorithm=.={algorithm};.;edge_claims_host_verification");
        envoy.stats().0.get(&stat).copied()
    };
    for name in algorithms {
        let expected = u64::from(name.starts_with("ES") || name.starts_with("RS"));
        assert_eq!(by_host(&envoys[0], name), Some(expected), "{name}");
        assert_eq!(by_host(&envoys[1], name), Some(0), "{name}");
    }

    for key in &keys {
        let token = key.sign(&claims(&json!({})));
        for (token, code) in variants(&token) {
            let verdicts = envoys.each_ref().map(|envoy| {
                let response = envoy.get("/me").header(CLAIMS, &token).send();
                (response.status, response.json()["code"].clone())
            });
            let expected = match code {
                None => (200, Value::Null),
                Some(code) => (401, json!(code)),
            };
            for verdict in verdicts {
                assert_eq!(verdict, expected, "{}: {token}", key.algorithm());
            }
        }
    }
    for (envoy, backend) in envoys.iter().zip(["host", "portable"]) {
        until("the metric to tell", || {
            let stat = format!(
                "wasmcustom.algorithm=.=ES512;.;backend=.={backend};.;edge_claims_verifications_total"
            );
            envoy.stats().of(&stat) > 0
        });
    }
}

/// A token, and ways to spoil its signature; with what is to be said of each.
fn variants(token: &str) -> Vec<(String, Option<&'static str>)> {
    let (signed, encoded) = token.rsplit_once('.').unwrap();
    let signature = from_base64url(encoded);
    let (header, payload) = signed.split_once('.').unwrap();
    let with =
        |signature: &[u8]| assemble(&from_base64url(header), &from_base64url(payload), signature);
    let mut all = vec![(token.to_owned(), None)];
    for at in [0, signature.len() / 2, signature.len() - 1] {
        let mut spoiled = signature.clone();
        spoiled[at] ^= 1;
        all.push((with(&spoiled), Some("signature_invalid")));
    }
    let half = signature.len() / 2;
    let zeros = vec![0; signature.len()];
    let ones = vec![0xff; signature.len()];
    let swapped = [&signature[half..], &signature[..half]].concat();
    let longer = [signature.as_slice(), &[0]].concat();
    for spoiled in [&zeros, &ones, &swapped, &longer, &signature[1..].to_vec()] {
        all.push((with(spoiled), Some("signature_invalid")));
    }
    let other = String::from_utf8(from_base64url(payload)).unwrap();
    let other = other.replace("alice", "admin");
    all.push((
        assemble(&from_base64url(header), other.as_bytes(), &signature),
        Some("signature_invalid"),
    ));
    all
}

#[test]
fn forged_tokens_do_not_evict_or_replace_good_ones() {
    let world = World::with(
        |config| config["claims"]["cache_entries"] = json!(8),
        |setup| setup,
    );
    let good = world.token(&json!({}));
    let with = |token: &str| world.envoy.get("/me").header(CLAIMS, token);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut bytes = from_base64url(signature);
    // Forgeries of a token that is yet to come, with its header and claims.
    for number in 0..400_usize {
        let at = number % bytes.len();
        bytes[at] ^= 1 + (number / bytes.len()) as u8;
        let forged = format!(
            "{signed}.{}",
            edge_claims_harness::tokens::base64url(&bytes)
        );
        bytes[at] ^= 1 + (number / bytes.len()) as u8;
        let response = with(&forged).send();
        assert_eq!(response.json()["code"], "signature_invalid", "{number}");
    }
    assert_eq!(world.upstream.count(), 0);
    for _ in 0..3 {
        world.allowed(with(&good));
    }
    until("the metric to tell", || {
        let stats = world.envoy.stats();
        let of = |result: &str| {
            stats.of(&format!(
                "wasmcustom.result=.={result};.;edge_claims_cache_total"
            ))
        };
        of("miss") == 401 && of("hit") == 2
    });
}
