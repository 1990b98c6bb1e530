//! Attacks on a login (RFC 9700 §4, OAuth 2.0 for Browser-Based Applications).

use super::*;

#[test]
fn login_csrf_an_answer_without_this_browsers_cookie_is_refused() {
    let mut world = World::new();
    let (mut attacker, mut victim) = (Browser::default(), Browser::default());
    // The attacker logs in, stops before the callback, and leads the victim there.
    let (callback, start) = world.begin(&mut attacker, PAGE);
    let record = refused(&mut world, &mut victim, &callback, "login_browser");
    assert_ne!(
        record.correlation_id, start.correlation_id,
        "nor is the attacker's ID the victim's"
    );
    // Neither while the victim has a login of its own under way.
    world.begin(&mut victim, PAGE);
    refused(&mut world, &mut victim, &callback, "login_browser");
}

#[test]
fn code_injection_a_stolen_code_is_no_good_in_another_login() {
    let mut world = World::new();
    let (mut attacker, mut victim) = (Browser::default(), Browser::default());
    let (stolen, _) = world.begin(&mut victim, PAGE);
    let (own, _) = world.begin(&mut attacker, PAGE);
    let code = form(stolen.split_once('?').unwrap().1)["code"].clone();
    let state = form(own.split_once('?').unwrap().1)["state"].clone();
    let injected = answer(&[
        ("code", &code),
        ("state", &state),
        ("iss", "https://login.example.com"),
    ]);
    // PKCE: the token endpoint does not take the attacker's verifier.
    refused(&mut world, &mut attacker.clone(), &injected, "login_code");
    // A provider that forgets PKCE: the nonce is the victim's.
    let nonce = "the nonce of the victim";
    let (reply, record) = world.come_back_with(&mut attacker, &injected, |world, _| {
        tokens(&world.server.sign(&json!({"nonce": nonce})))
    });
    assert_eq!((reply.status, record.reason), (502, Some("login_token")));
    assert_eq!(record.error.as_deref(), Some("id_token: session_nonce"));
    // The stolen callback as a whole, without the victim's cookie.
    refused(
        &mut world,
        &mut Browser::default(),
        &stolen,
        "login_browser",
    );
}

#[test]
fn mix_up_the_answer_of_another_provider_is_refused() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let (callback, _) = world.begin(&mut browser, PAGE);
    let other = callback.replace("login.example.com", "evil.example");
    refused(&mut world, &mut browser.clone(), &other, "login_issuer");
    let (none, _) = callback.split_once("&iss=").unwrap();
    refused(&mut world, &mut browser.clone(), none, "login_issuer");
    let error = none.replace("code=code-0", "error=access_denied");
    refused(&mut world, &mut browser, &error, "login_issuer");

    let mut world = World::with(
        |settings| settings["login"]["require_iss"] = json!(false),
        &[7; 32],
    );
    let (callback, _) = world.begin(&mut browser, PAGE);
    let other = callback.replace("login.example.com", "evil.example");
    refused(&mut world, &mut browser.clone(), &other, "login_issuer");
    let (none, _) = callback.split_once("&iss=").unwrap();
    assert_eq!(world.come_back(&mut browser, none).0.status, 302);
}

#[test]
fn a_state_is_good_once_for_ten_minutes_and_for_this_edge() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let (callback, start) = world.begin(&mut browser, PAGE);
    let before = browser.clone();
    assert_eq!(world.come_back(&mut browser, &callback).0.status, 302);
    // A reload, the back button or a bookmark.
    let (reply, record) = world.come_back(&mut browser, &callback);
    assert_eq!((reply.status, record.reason), (400, Some("login_browser")));
    assert_ne!(record.correlation_id, start.correlation_id);
    // Somebody who copied the cookies meanwhile: the code was used.
    refused(&mut world, &mut before.clone(), &callback, "login_code");

    let mut late = Browser::default();
    let (callback, _) = world.begin(&mut late, PAGE);
    world.now += super::super::LIFE_SECONDS + 1;
    refused(&mut world, &mut late, &callback, "login_expired");
    assert_eq!(late.named("__Host-login-"), [""; 0]);

    // Another key, client or redirect URI.
    let (callback, _) = World::with(|_| {}, &[8; 32]).begin(&mut late, PAGE);
    refused(&mut world, &mut late, &callback, "login_state");
    let change = |settings: &mut serde_json::Value| settings["session"]["client_id"] = json!("x");
    let (callback, _) = World::with(change, &[7; 32]).begin(&mut late, PAGE);
    refused(&mut world, &mut late, &callback, "login_state");
}

#[test]
fn what_is_sealed_for_one_purpose_is_nothing_for_another() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let (callback, start) = world.begin(&mut browser, PAGE);
    let state = form(callback.split_once('?').unwrap().1)["state"].clone();
    let mut other = browser.clone();
    assert_eq!(world.come_back(&mut other, &callback).0.status, 302);
    // The state as the visit's cookie.
    let name = other.named("__Host-visit-")[0].to_owned();
    other.0.retain(|(found, _)| *found != name);
    other.0.push((name, state));
    let record = world.get(&mut other, PAGE).record;
    assert_ne!(record.correlation_id, start.correlation_id);
    assert_eq!(
        record.outcome,
        Outcome::Forwarded,
        "the session is good all the same"
    );
}

#[test]
fn the_cookie_of_a_login_cannot_be_changed_exchanged_or_tossed() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let (callback, _) = world.begin(&mut browser, PAGE);
    let (name, value) = browser.0[0].clone();
    let (secret, _) = value.split_once('.').unwrap();
    let evil = base64url(b"//evil.example/");
    let mut second = Browser::default();
    world.begin(&mut second, "/other");
    let mut jars = vec![
        Browser(vec![(name.clone(), format!("{secret}.{evil}"))]),
        Browser(vec![(name.clone(), format!("AAAA.{evil}"))]),
        Browser(vec![(name.clone(), String::new())]),
        Browser(vec![(name.clone(), "é.é".to_owned())]),
        // The cookie of another login under this one's name.
        Browser(vec![(name.clone(), second.0[0].1.clone())]),
        // Another host of the domain set a second one (RFC 6265 §8.6).
        Browser(vec![(name.clone(), value.clone()), (name, value)]),
    ];
    for jar in &mut jars {
        refused(&mut world, jar, &callback, "login_browser");
    }
}

#[test]
fn no_return_path_leads_to_another_host() {
    for path in [
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "https://evil.example",
        "/a\r\nset-cookie: x=y",
        "/é",
        "",
        &"/a".repeat(600),
    ] {
        assert_eq!(super::super::start::local(path), "/", "{path}");
    }
    assert_eq!(super::super::start::local(PAGE), PAGE);
    let mut world = World::new();
    let (reply, _) = world.log_in(&mut Browser::default(), "//evil.example/x");
    assert_eq!(reply.header("location"), Some("/"));
}

#[test]
fn the_logins_id_is_for_one_user_one_page_and_one_minute() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let (_, back) = world.log_in(&mut browser, PAGE);
    let id = back.correlation_id;
    let visit = browser
        .0
        .iter()
        .find(|(name, _)| name.starts_with("__Host-visit-"));
    let visit = visit.unwrap().clone();

    // Another user with the first one's cookie.
    let mut other = Browser::default();
    other.0.push((
        "__Host-session".to_owned(),
        world.server.sign(&json!({"sub": "u-2"})),
    ));
    other.0.push(visit.clone());
    assert_ne!(world.get(&mut other, PAGE).record.correlation_id, id);
    // The same user: another page, another method, too late.
    assert_ne!(
        world
            .get(&mut browser.clone(), "/orders?page=3")
            .record
            .correlation_id,
        id
    );
    let posted = world.send(&mut browser.clone(), "POST", PAGE, &[]);
    assert_ne!(posted.record.correlation_id, id);
    world.now += 61;
    assert_ne!(
        world.get(&mut browser.clone(), PAGE).record.correlation_id,
        id
    );
    world.now -= 61;
    assert_eq!(world.get(&mut browser, PAGE).record.correlation_id, id);
}

#[test]
fn a_client_does_not_choose_the_logins_id() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let (callback, start) = world.begin(&mut browser, PAGE);
    let chosen = [("x-correlation-id", "chosen-1")];
    let seen = world.send(&mut browser, "GET", &callback, &chosen);
    assert_eq!(seen.record.correlation_id, start.correlation_id);
    assert_eq!(
        seen.record.client_correlation_id.as_deref(),
        Some("chosen-1")
    );
    // Where the client is trusted, its ID begins the visit and stays with it.
    let trust = |settings: &mut serde_json::Value| {
        settings["correlation"]["trust_client"] = json!(true);
    };
    let world = World::with(trust, &[7; 32]);
    let seen = world.send(&mut browser, "GET", PAGE, &chosen);
    assert_eq!(seen.record.correlation_id, "chosen-1");
}

#[test]
fn no_other_site_logs_a_user_out() {
    let mut world = World::new();
    let mut browser = Browser::default();
    world.log_in(&mut browser, PAGE);
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
        ],
        &[],
    ] {
        let seen = world.send(&mut browser, "GET", "/logout", headers);
        assert_eq!(seen.record.reason, Some("logout_cross_site"), "{headers:?}");
        assert_eq!(replied(seen.decision).status, 403);
    }
    assert_eq!(browser.named("__Host-session"), ["__Host-session"]);
}
