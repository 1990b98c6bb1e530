//! Tokens: which are accepted, and why the others are not.

use edge_claims_harness::tokens::{
    self, ALGORITHMS, Key, Order, assemble, base64url, claims, from_base64url, mint, now,
};
use edge_claims_harness::{Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER, World, issuer, policy};

#[test]
fn every_algorithm_by_every_library_is_accepted() {
    let upstream = Upstream::start();
    let keys: Vec<Key> = ALGORITHMS
        .iter()
        .map(|name| {
            // One RSA key for each of its two uses; the stock is small.
            let kid = if name.starts_with("RS") || name.starts_with("PS") {
                &name[..2]
            } else {
                name
            };
            Key::generate(name, kid)
        })
        .collect();
    let mut setup = Setup::new(&upstream);
    let mut issuers = Vec::new();
    for key in &keys {
        let name = format!("https://{}.example.com", key.algorithm());
        issuers.push(if key.algorithm().starts_with("HS") {
            let variable = format!("SECRET_{}", key.algorithm());
            let secret = from_base64url(key.jwk()["k"].as_str().unwrap());
            // A secret in the environment is text: base64url is how bytes are written there.
            setup = setup.environment(&variable, &base64url(&secret));
            json!({"issuer": name, "audiences": ["mesh.example.com"],
                "algorithms": [key.algorithm()],
                "keys": {"secrets": [{"env": variable, "kid": key.kid()}]}})
        } else {
            issuer(&name, &[key])
        });
    }
    let envoy = setup.plugin(&policy(&issuers)).start();

    let of =
        |key: &Key| claims(&json!({"iss": format!("https://{}.example.com", key.algorithm())}));
    // The filter takes the variable's bytes as they are, so the key is that text.
    let keys: Vec<Key> = keys
        .into_iter()
        .map(|key| match key.jwk()["k"].as_str() {
            Some(text) => Key::secret(key.algorithm(), key.kid(), text.as_bytes()),
            None => key,
        })
        .collect();
    let orders: Vec<Order> = keys
        .iter()
        .flat_map(|key| [Order::pyjwt(key, &of(key)), Order::joserfc(key, &of(key))])
        .collect();
    let foreign = mint(&orders);
    for (key, foreign) in keys.iter().zip(foreign.chunks(2)) {
        for token in foreign.iter().chain([&key.sign(&of(key))]) {
            let response = envoy.get("/me").header(CLAIMS, token).send();
            assert_eq!(response.status, 200, "{}: {response:?}", key.algorithm());
            let seen = upstream.only();
            assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
        }
        // The same token with one bit of its signature turned.
        let token = key.sign(&of(key));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut signature = from_base64url(signature);
        signature[5] ^= 1;
        let forged = format!("{signed}.{}", base64url(&signature));
        let response = envoy.get("/me").header(CLAIMS, forged).send();
        assert_eq!(
            response.json()["code"],
            "signature_invalid",
            "{}",
            key.algorithm()
        );
        assert_eq!(upstream.count(), 0);
    }
}

#[test]
fn claims_decide_by_time_issuer_and_audience() {
    let world = World::start();
    let now = now();
    let cases = [
        (json!({}), None),
        (json!({"exp": now + 1}), None),
        (json!({"exp": now - 5}), None), // within the leeway of 10 s
        (json!({"exp": now - 60}), Some("expired")),
        (json!({"exp": 0}), Some("expired")),
        (json!({"exp": null}), Some("claim_required")),
        (json!({"nbf": now + 5}), None),
        (json!({"nbf": now + 60}), Some("not_yet_valid")),
        (json!({"iat": now + 60}), Some("not_yet_valid")),
        (json!({"iat": null}), None),
        (
            json!({"iss": "https://other.example.com"}),
            Some("issuer_unknown"),
        ),
        (
            json!({"iss": "https://edge.example.com/"}),
            Some("issuer_unknown"),
        ),
        (
            json!({"iss": "HTTPS://edge.example.com"}),
            Some("issuer_unknown"),
        ),
        (json!({"iss": null}), Some("issuer_unknown")),
        (json!({"aud": "other.example.com"}), Some("audience")),
        (json!({"aud": null}), Some("audience")),
        (json!({"aud": []}), Some("audience")),
        (
            json!({"aud": ["other.example.com", "mesh.example.com"]}),
            None,
        ),
        (
            json!({"aud": "mesh.example.com.evil.example"}),
            Some("audience"),
        ),
    ];
    for (changes, reason) in cases {
        let request = world.envoy.get("/me").header(CLAIMS, world.token(&changes));
        println!("{changes} -> {reason:?}");
        match reason {
            None => drop(world.allowed(request)),
            Some(reason) => drop(world.denied(request, 401, reason)),
        }
    }
}

#[test]
fn claims_of_the_wrong_type_are_refused() {
    let world = World::start();
    let header = json!({"alg": "ES256", "kid": "k1"}).to_string();
    let base = r#""iss":"https://edge.example.com","aud":"mesh.example.com","sub":"alice""#;
    let payloads = [
        format!(r#"{{{base},"exp":"9999999999"}}"#),
        format!(r#"{{{base},"exp":NaN}}"#),
        format!(r#"{{{base},"exp":Infinity}}"#),
        format!(r#"{{{base},"exp":1e400}}"#),
        format!(r#"{{{base},"exp":-1}}"#),
        format!(r#"{{{base},"exp":99999999999999999999}}"#),
        format!(r#"{{{base},"exp":true}}"#),
        format!(r#"{{{base},"exp":[9999999999]}}"#),
        format!(r#"{{{base},"exp":null}}"#),
        format!(r#"{{{base},"exp":9999999999,"exp":9999999998}}"#),
        format!(r#"{{{base},"exp":9999999999,"nbf":"0"}}"#),
        format!(r#"{{{base},"exp":9999999999,"iat":{{}}}}"#),
        format!(r#"{{{base},"exp":9999999999,"roles":["a"],"roles":["admin"]}}"#),
        format!(r#"{{{base},"exp":9999999999,"a":{{"b":1,"b":2}}}}"#),
        format!(r#"{{{base},"exp":9999999999,"iss":"https://edge.example.com"}}"#),
        format!(r#"{{{base},"exp":9999999999,"aud":["mesh.example.com"]}}"#),
        r#"{"iss":["https://edge.example.com"],"aud":"mesh.example.com","exp":9999999999}"#.into(),
        r#"{"iss":"https://edge.example.com","aud":{"mesh.example.com":1},"exp":9999999999}"#
            .into(),
        r#"{"iss":"https://edge.example.com","aud":"mesh.example.com","exp":9999999999,"sub":7}"#
            .into(),
        format!(r#"[{{{base},"exp":9999999999}}]"#),
        format!(r#"{{{base},"exp":9999999999}} x"#),
        format!(r#"{{{base},"exp":9999999999,}}"#),
        format!(
            r#"{{{base},"exp":9999999999,"deep":{}1{}}}"#,
            "[".repeat(2000),
            "]".repeat(2000)
        ),
        "\"text\"".into(),
        "null".into(),
        String::new(),
    ];
    let mut orders: Vec<Order> = payloads
        .iter()
        .map(|payload| Order::raw(&world.key, &header, payload))
        .collect();
    let not_utf8 = [
        b"{\"iss\":\"https://edge.example.com\xff\",\"exp\":9999999999}".as_slice(),
        b"\xff\xfe",
    ];
    orders.extend(not_utf8.map(|payload| Order::raw(&world.key, &header, payload)));
    for (index, token) in mint(&orders).into_iter().enumerate() {
        let response = world.envoy.get("/me").header(CLAIMS, &token).send();
        let what = payloads.get(index).map_or("not UTF-8", String::as_str);
        assert_eq!(response.status, 401, "{what:.200}: {response:?}");
        assert_eq!(world.upstream.take(), [], "{what:.200} got through");
    }
}

#[test]
fn tokens_that_are_not_what_they_say_are_refused() {
    let edge = Key::generate("ES256", "edge-1");
    let rsa = Key::generate("RS256", "edge-rsa");
    let partner = Key::generate("ES256", "partner-1");
    let stranger = Key::generate("ES256", "edge-1");
    let upstream = Upstream::start();
    let partner_name = "https://partner.example.com";
    let issuers = [
        issuer(ISSUER, &[&edge, &rsa]),
        issuer(partner_name, &[&partner]),
    ];
    let envoy = Setup::new(&upstream).plugin(&policy(&issuers)).start();

    let good = claims(&json!({}));
    let payload = good.to_string();
    let header = |more: Value| {
        let mut header = json!({"alg": "ES256", "kid": "edge-1"});
        let object = header.as_object_mut().unwrap();
        for (name, value) in more.as_object().unwrap() {
            object.insert(name.clone(), value.clone());
        }
        object.retain(|_, value| !value.is_null());
        header.to_string()
    };
    let plain = header(json!({}));
    let public_rsa = rsa.jwk().to_string();
    let public_pem = pem(&rsa);
    let as_secret = |secret: &[u8], kid: &str| Key::secret("HS256", kid, secret);
    let signed = |key: &Key, header: &str| Order::raw(key, header, &payload);
    let long_kid = "k".repeat(2_000);

    let orders = [
        ("good", signed(&edge, &plain), None),
        (
            "good, RSA",
            signed(
                &rsa,
                &json!({"alg": "RS256", "kid": "edge-rsa"}).to_string(),
            ),
            None,
        ),
        (
            "another's key under our kid",
            signed(&stranger, &plain),
            Some("signature_invalid"),
        ),
        (
            "the partner's key and kid for our issuer",
            signed(&partner, &header(json!({"kid": "partner-1"}))),
            Some("key_unknown"),
        ),
        (
            "the partner's key, our kid",
            signed(&partner, &plain),
            Some("signature_invalid"),
        ),
        (
            "HS256 with the RSA key's JWK as secret",
            signed(
                &as_secret(public_rsa.as_bytes(), "edge-rsa"),
                &json!({"alg": "HS256", "kid": "edge-rsa"}).to_string(),
            ),
            Some("algorithm_refused"),
        ),
        (
            "HS256 with the RSA key's PEM as secret",
            signed(
                &as_secret(public_pem.as_bytes(), "edge-rsa"),
                &json!({"alg": "HS256", "kid": "edge-rsa"}).to_string(),
            ),
            Some("algorithm_refused"),
        ),
        (
            "PS256 by an RS256 key",
            signed(
                &rsa.misused_as("PS256"),
                &json!({"alg": "PS256", "kid": "edge-rsa"}).to_string(),
            ),
            Some("algorithm_refused"),
        ),
        (
            "ES256 key, header says RS256",
            signed(&edge, &header(json!({"alg": "RS256"}))),
            Some("algorithm_refused"),
        ),
        (
            "an unknown kid",
            signed(&edge, &header(json!({"kid": "x"}))),
            Some("key_unknown"),
        ),
        (
            "a kid that is a path",
            signed(&edge, &header(json!({"kid": "../../etc/passwd"}))),
            Some("key_unknown"),
        ),
        (
            "a kid of 2,000 letters",
            signed(&edge, &header(json!({"kid": long_kid}))),
            Some("key_unknown"),
        ),
        (
            "an empty kid",
            signed(&edge, &header(json!({"kid": ""}))),
            Some("key_unknown"),
        ),
        (
            "a kid that is a number",
            signed(&edge, &header(json!({"kid": 1}))),
            Some("claims_malformed"),
        ),
        (
            "no kid, one key fits",
            signed(&edge, &header(json!({"kid": null}))),
            None,
        ),
        (
            "no alg",
            signed(&edge, &header(json!({"alg": null}))),
            Some("claims_malformed"),
        ),
        (
            "alg is a list",
            signed(&edge, &header(json!({"alg": ["ES256"]}))),
            Some("claims_malformed"),
        ),
        (
            "alg in lower case",
            signed(&edge, &header(json!({"alg": "es256"}))),
            Some("algorithm_refused"),
        ),
        (
            "alg with a space",
            signed(&edge, &header(json!({"alg": "ES256 "}))),
            Some("algorithm_refused"),
        ),
        (
            "crit",
            signed(&edge, &header(json!({"crit": ["exp"], "exp": 1}))),
            Some("claims_malformed"),
        ),
        (
            "an empty crit",
            signed(&edge, &header(json!({"crit": []}))),
            Some("claims_malformed"),
        ),
        (
            "b64: false",
            signed(&edge, &header(json!({"b64": false, "crit": ["b64"]}))),
            Some("claims_malformed"),
        ),
        (
            "its own key in the header, unknown kid",
            signed(
                &stranger,
                &header(json!({"jwk": stranger.jwk(), "kid": "s"})),
            ),
            None,
        ),
        (
            "its own key in the header, our kid",
            signed(&stranger, &header(json!({"jwk": stranger.jwk()}))),
            None,
        ),
        (
            "a duplicate alg",
            signed(&edge, r#"{"alg":"ES256","kid":"edge-1","alg":"none"}"#),
            Some("claims_malformed"),
        ),
        (
            "a duplicate kid",
            signed(&edge, r#"{"alg":"ES256","kid":"x","kid":"edge-1"}"#),
            Some("claims_malformed"),
        ),
        (
            "the header is a list",
            signed(&edge, r#"["ES256"]"#),
            Some("claims_malformed"),
        ),
        (
            "the header is no JSON",
            signed(&edge, "ES256"),
            Some("claims_malformed"),
        ),
    ];
    let never = [
        "its own key in the header, unknown kid",
        "its own key in the header, our kid",
    ];
    let tokens = mint(
        &orders
            .iter()
            .map(|(_, order, _)| order.clone())
            .collect::<Vec<_>>(),
    );
    for ((what, _, reason), token) in orders.iter().zip(tokens) {
        let response = envoy.get("/me").header(CLAIMS, token).send();
        match reason {
            None if never.contains(what) => {
                assert_eq!(response.status, 401, "{what}: {response:?}")
            }
            None => assert_eq!(response.status, 200, "{what}: {response:?}"),
            Some(reason) => {
                assert_eq!(response.status, 401, "{what}: {response:?}");
                assert_eq!(response.json()["code"], *reason, "{what}: {response:?}");
            }
        }
        let reached = usize::from(response.status == 200);
        assert_eq!(upstream.take().len(), reached, "{what}");
    }
}

#[test]
fn what_is_no_compact_jws_is_malformed() {
    let world = World::start();
    let good = world.token(&json!({}));
    let [header, payload, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let none = |alg: &str| {
        let header = json!({"alg": alg, "kid": "k1"}).to_string();
        base64url(header.as_bytes())
    };
    let mut tokens = vec![
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "....".into(),
        "a.b.c".into(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{header}.{payload}.{signature}="),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}==.{signature}"),
        format!("{header}.{payload}.{signature}A"),
        format!("{header}. {payload}.{signature}"),
        format!("{header}.\t{payload}.{signature}"),
        format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+")) + "/",
        format!("{{\"payload\":\"{payload}\",\"signatures\":[]}}"),
        assemble(br#"{"alg":"ES256","kid":"k1"}"#, b"{}", &[0; 64]),
        assemble(br#"{"alg":"ES256","kid":"k1"}"#, b"{}", &[0xff; 64]),
        assemble(br#"{"alg":"ES256","kid":"k1"}"#, b"{}", &[]),
        assemble(br#"{"alg":"ES256","kid":"k1"}"#, b"{}", &[1; 63]),
        assemble(br#"{"alg":"ES256","kid":"k1"}"#, b"{}", &[1; 5000]),
    ];
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        for signature in ["", signature] {
            tokens.push(format!("{}.{payload}.{signature}", none(alg)));
        }
    }
    // A signature's last sextet has bits that no byte owns: only zeros are right there.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let index = alphabet.find(last).unwrap();
    for bits in 1..4 {
        let other = alphabet.as_bytes()[(index & !3) | bits] as char;
        if other != last {
            let shorter = &signature[..signature.len() - 1];
            tokens.push(format!("{header}.{payload}.{shorter}{other}"));
        }
    }
    for token in tokens {
        let response = world.envoy.get("/me").header(CLAIMS, &token).send();
        assert_eq!(response.status, 401, "{token}: {response:?}");
        assert_eq!(world.upstream.take(), [], "{token} got through");
    }
    // A list of tokens in one header is one token that is malformed.
    let list = world
        .envoy
        .get("/me")
        .header(CLAIMS, format!("{good}, {good}"));
    world.denied(list, 401, "claims_malformed");
    let space = world.envoy.get("/me").header(CLAIMS, format!("{good} x"));
    world.denied(space, 401, "claims_malformed");
    world.allowed(world.envoy.get("/me").header(CLAIMS, good));
}

#[test]
fn the_type_is_checked_where_it_is_asked_for() {
    let world = World::with(
        |policy| policy["claims"]["issuers"][0]["type"] = json!("edge-claims+jwt"),
        |setup| setup,
    );
    let claims = claims(&json!({}));
    let get = |token: String| world.envoy.get("/me").header(CLAIMS, token);
    world.allowed(get(world.key.sign_typed(&claims, "edge-claims+jwt")));
    world.denied(get(world.key.sign_typed(&claims, "JWT")), 401, "type");
    world.denied(
        get(world.key.sign_typed(&claims, "edge-claims+jwt2")),
        401,
        "type",
    );
    let untyped = mint(&[Order::raw(
        &world.key,
        r#"{"alg":"ES256","kid":"k1"}"#,
        claims.to_string(),
    )]);
    world.denied(get(untyped[0].clone()), 401, "type");
}

#[test]
fn without_its_secret_an_issuer_loads_and_denies() {
    let upstream = Upstream::start();
    let secret = Key::secret("HS256", "k1", &[7; 32]);
    let issuer = json!({"issuer": ISSUER, "audiences": ["mesh.example.com"], "algorithms": ["HS256"],
        "keys": {"secrets": [{"env": "NOT_THERE", "kid": "k1"}]}});
    let envoy = Setup::new(&upstream).plugin(&policy(&[issuer])).start();
    let token = secret.sign(&tokens::claims(&json!({})));
    let response = envoy.get("/me").header(CLAIMS, token).send();
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.json()["code"], "keys_unavailable");
    // A secret that is not there must not be the empty one.
    let empty = Key::secret("HS256", "k1", b"");
    let payload = tokens::claims(&json!({})).to_string();
    let empty = mint(&[Order::raw(&empty, r#"{"alg":"HS256","kid":"k1"}"#, payload)]);
    let response = envoy.get("/me").header(CLAIMS, &empty[0]).send();
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(upstream.count(), 0);
    assert_eq!(envoy.get("/public/x").send().status, 200);
    let _ = envoy.wait_for_log("NOT_THERE");
}

#[test]
fn no_token_is_ever_logged() {
    let world = World::with(
        |policy| policy["log"] = json!({"allow": 1.0, "deny": 1.0}),
        |setup| setup.log_level("trace"),
    );
    let token = world.token(&json!({}));
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    world.allowed(world.envoy.get("/me").header(CLAIMS, &token));
    world.denied(
        world.envoy.get("/me").header(CLAIMS, &forged),
        401,
        "signature_invalid",
    );
    // Envoy itself prints all headers at its own debug level; what the filter says is marked as its.
    let log = world.envoy.log();
    let signature = token.rsplit('.').next().unwrap();
    for line in log.lines().filter(|line| line.contains("wasm log")) {
        assert!(
            !line.contains(&signature[..40]) && !line.contains(&token[..60]),
            "{line}"
        );
    }
}

/// A flood of forged tokens whose verification is expensive: they get 503 once they have used up their
/// share of the worker, and requests with cached or cheap tokens go on.
#[test]
fn cached_and_cheap_tokens_pass_during_a_flood_of_forged_ones() {
    let upstream = Upstream::start();
    let (cheap, expensive) = (Key::generate("ES256", "k1"), Key::generate("PS256", "k2"));
    let envoy = Setup::new(&upstream)
        .plugin(&policy(&[issuer(ISSUER, &[&cheap, &expensive])]))
        .start();
    let of = |key: &Key, id: &str| key.sign(&claims(&json!({"jti": id})));
    let with = |token: &str| envoy.get("/me").header(CLAIMS, token);
    let cached = of(&expensive, "cached");
    assert_eq!(with(&cached).send().status, 200);
    let good = of(&expensive, "forged");
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut bytes = from_base64url(signature);
    bytes[17] ^= 1;
    let forged = format!("{signed}.{}", base64url(&bytes));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let overloaded = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        let floods: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let response = with(&forged).send();
                        match response.status {
                            401 => assert_eq!(response.json()["code"], "signature_invalid"),
                            _ => {
                                assert_eq!(response.status, 503, "{response:?}");
                                assert_eq!(response.json()["code"], "overloaded");
                                assert!(response.header("retry-after").is_some(), "{response:?}");
                                overloaded.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            }
                        }
                    }
                })
            })
            .collect();
        let start = std::time::Instant::now();
        let mut refused_a_good_one = false;
        let mut number = 0;
        // A busy machine takes longer to use the budget up.
        let seen =
            |refused: bool| refused && overloaded.load(std::sync::atomic::Ordering::Relaxed) > 0;
        while start.elapsed().as_secs() < 5
            || !seen(refused_a_good_one) && start.elapsed().as_secs() < 60
        {
            number += 1;
            assert_eq!(with(&cached).send().status, 200);
            let fresh = of(&cheap, &format!("cheap-{number}"));
            assert_eq!(with(&fresh).send().status, 200);
            let fresh = with(&of(&expensive, &format!("expensive-{number}"))).send();
            refused_a_good_one |= fresh.status == 503;
            assert!(matches!(fresh.status, 200 | 503), "{fresh:?}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for flood in floods {
            flood.join().unwrap();
        }
        assert!(seen(refused_a_good_one), "the budget was never used up");
    });
    // It is over within a second.
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    assert_eq!(with(&of(&expensive, "after")).send().status, 200);
}

/// The public key as PEM, which is what an attacker of «RS256 as HS256» would use.
fn pem(key: &Key) -> String {
    use jwt_simple::prelude::RS256PublicKey;
    RS256PublicKey::from_jwk(&key.jwk().to_string())
        .unwrap()
        .to_pem()
        .unwrap()
}
