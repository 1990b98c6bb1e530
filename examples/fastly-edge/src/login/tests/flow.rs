//! The steps of a login, its ID, and how it fails.

use super::*;

#[test]
fn one_id_leads_from_the_redirect_to_the_first_request() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let (callback, start) = world.begin(&mut browser, PAGE);
    assert_eq!(start.outcome, Outcome::Redirected);
    assert_eq!(start.login, Some(super::super::Step::Start));

    let (reply, back) = world.come_back(&mut browser, &callback);
    assert_eq!(reply.status, 302, "{reply:?}");
    assert_eq!(reply.header("location"), Some(PAGE));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(back.outcome, Outcome::LoggedIn);
    assert_eq!(back.login, Some(super::super::Step::Callback));
    assert_eq!(back.correlation_id, start.correlation_id);
    assert_eq!(
        browser.named("__Host-login-"),
        [""; 0],
        "it has done its work"
    );

    let first = world.get(&mut browser, PAGE);
    assert_eq!(first.record.correlation_id, start.correlation_id);
    assert_eq!(first.record.login, Some(super::super::Step::FirstRequest));
    let edits = forwarded(first.decision);
    let sent = edits
        .set
        .iter()
        .find(|(name, _)| name == "x-correlation-id");
    assert_eq!(sent.unwrap().1, start.correlation_id.as_bytes());
    assert!(
        edits.set.iter().all(|(name, _)| name != "cookie"),
        "no cookie is left for the mesh"
    );

    let second = world.get(&mut browser, PAGE);
    assert_ne!(second.record.correlation_id, start.correlation_id);
    assert_eq!(second.record.login, None);
    assert_eq!(browser.named("__Host-"), ["__Host-session"]);
}

#[test]
fn the_redirect_has_what_the_provider_needs_and_no_more() {
    let world = World::new();
    let seen = world.get(&mut Browser::default(), PAGE);
    let location = replied(seen.decision)
        .header("location")
        .unwrap()
        .to_owned();
    let parameters = parameters(&location);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "shop"),
        ("redirect_uri", "https://shop.example.com/login/callback"),
        ("scope", "openid"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(parameters[name], value);
    }
    assert_eq!(parameters["code_challenge"].len(), 43);
    assert_eq!(parameters.len(), 8, "{location}");
    assert!(
        !location.contains("orders"),
        "the page is not the provider's business"
    );
}

#[test]
fn logins_in_two_tabs_end_each_on_its_own_page_with_its_own_id() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let (first, first_start) = world.begin(&mut browser, "/first");
    let (second, second_start) = world.begin(&mut browser, "/second");
    for (callback, page, start) in [
        (second, "/second", second_start),
        (first, "/first", first_start),
    ] {
        let (reply, back) = world.come_back(&mut browser, &callback);
        assert_eq!(reply.header("location"), Some(page));
        assert_eq!(back.correlation_id, start.correlation_id);
        // Another page of the session is not the login's first request.
        let image = world.get(&mut browser, "/logo.svg").record;
        assert_eq!(image.login, None);
        let record = world.get(&mut browser, page).record;
        assert_eq!(record.correlation_id, start.correlation_id);
    }
}

#[test]
fn a_page_that_opens_many_logins_does_not_fill_the_browser() {
    let mut world = World::new();
    let mut browser = Browser::default();
    for number in 0..20 {
        world.get(&mut browser, &format!("/{number}"));
    }
    assert_eq!(browser.named("__Host-login-").len(), 4);
    assert_eq!(
        world.log_in(&mut browser, PAGE).0.status,
        302,
        "the newest are kept"
    );
    // What is no cookie of ours is not answered with one.
    let mut odd = Browser(vec![
        ("__Host-login-x;Domain=evil".to_owned(), String::new());
        9
    ]);
    let reply = replied(world.get(&mut odd, "/").decision);
    let cookies = reply
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    assert_eq!(cookies.count(), 1);
}

#[test]
fn errors_of_the_provider_end_the_login() {
    let mut world = World::new();
    let iss = ("iss", "https://login.example.com");
    for (error, reason, detail) in [
        ("access_denied", "login_denied", None),
        (
            "temporarily_unavailable",
            "login_refused",
            Some("authorization endpoint: temporarily_unavailable"),
        ),
        (
            "<script>",
            "login_refused",
            Some("authorization endpoint: an error without a registered name"),
        ),
    ] {
        let mut browser = Browser::default();
        let (callback, start) = world.begin(&mut browser, PAGE);
        let state = form(callback.split_once('?').unwrap().1)["state"].clone();
        let callback = answer(&[("error", error), ("state", &state), iss]);
        let record = refused(&mut world, &mut browser, &callback, reason);
        assert_eq!(record.error.as_deref(), detail);
        assert_eq!(
            record.correlation_id, start.correlation_id,
            "it is this visit that failed"
        );
        assert_eq!(browser.named("__Host-login-"), [""; 0]);
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let (callback, _) = world.begin(&mut browser, PAGE);
    let query = callback.split_once('?').unwrap().1;
    for (callback, reason) in [
        ("/login/callback".to_owned(), "login_state"),
        ("/login/callback?state=x&code=y".to_owned(), "login_state"),
        (format!("{callback}&code=second"), "login_request"),
        (format!("{callback}&state=second"), "login_request"),
        (format!("{callback}&error=access_denied"), "login_request"),
        (
            format!("/login/callback?{}", query.replace("code=code-0", "code=")),
            "login_request",
        ),
        (
            format!("/login/callback?{}", query.replace("code=code-0", "c=d")),
            "login_request",
        ),
    ] {
        refused(&mut world, &mut browser.clone(), &callback, reason);
    }
    // Only a navigation brings an answer.
    for (method, headers) in [
        ("POST", &[][..]),
        ("HEAD", &[]),
        ("GET", &[("sec-fetch-mode", "no-cors")]),
    ] {
        let seen = world.send(&mut browser.clone(), method, &callback, headers);
        assert_eq!(seen.record.reason, Some("login_request"), "{method}");
    }
    // A page for who can see one.
    let html = [("accept", "text/html,application/xhtml+xml;q=0.9")];
    let reply = replied(
        world
            .send(&mut Browser::default(), "GET", &callback, &html)
            .decision,
    );
    assert_eq!(
        reply.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(reply.body.contains("(login_browser)"), "{}", reply.body);
}

#[test]
fn tokens_that_are_no_session_end_the_login() {
    let mut world = World::new();
    let changes = [
        (json!({"aud": "other"}), "id_token: session_audience"),
        (
            json!({"iss": "https://evil.example"}),
            "id_token: session_issuer",
        ),
        (json!({"nonce": "other"}), "id_token: session_nonce"),
        (json!({"nonce": null}), "id_token: session_nonce"),
        (json!({"exp": NOW - 60}), "id_token: session_expired"),
    ];
    // Short enough to be a session by itself, too long together with the cookie's name.
    let nonce = "n".repeat(43);
    let short = world.server.sign(&json!({"nonce": nonce, "x": ""})).len();
    let filler = "x".repeat((4090 - short) / 4 * 3);
    let changes = changes
        .into_iter()
        .chain([(json!({"x": filler}), "id_token: too long for a cookie")]);
    for (changes, detail) in changes {
        let mut browser = Browser::default();
        let (callback, _) = world.begin(&mut browser, PAGE);
        let (reply, record) = world.come_back_with(&mut browser, &callback, |world, request| {
            let code = &form(&request.body)["code"];
            let mut claims = json!({"nonce": world.codes[code].1});
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
            tokens(&world.server.sign(&claims))
        });
        assert_eq!(
            (reply.status, record.reason),
            (502, Some("login_token")),
            "{changes}"
        );
        assert_eq!(record.error.as_deref(), Some(detail));
        assert_eq!(browser.named("__Host-"), [""; 0]);
    }
    let long = "x".repeat(70_000);
    for (status, body, detail) in [
        (200, "{}", "token endpoint: no JSON with an id_token"),
        (200, "<html>", "token endpoint: no JSON with an id_token"),
        (200, &long, "token endpoint: the answer is too long"),
        (
            401,
            r#"{"error":"invalid_client"}"#,
            "token endpoint: 401 invalid_client",
        ),
        (503, "down", "token endpoint: 503"),
    ] {
        let mut browser = Browser::default();
        let (callback, _) = world.begin(&mut browser, PAGE);
        let answer = TokenAnswer {
            status,
            body: body.as_bytes().to_vec(),
        };
        let (_, record) = world.come_back_with(&mut browser, &callback, |_, _| answer);
        assert_eq!(record.reason, Some("login_provider"));
        assert_eq!(record.error.as_deref(), Some(detail));
    }
}

#[test]
fn the_client_authenticates_as_it_is_registered() {
    for (method, authorization, in_form) in [
        ("none", None, (true, false)),
        // Both are form-encoded, then base64: shop:s%26cr%3At
        (
            "client_secret_basic",
            Some("Basic c2hvcDpzJTI2Y3IlM0F0"),
            (false, false),
        ),
        ("client_secret_post", None, (true, true)),
    ] {
        let change = |settings: &mut serde_json::Value| {
            settings["login"]["client_authentication"] = json!(method);
        };
        let mut world = World::with(change, &[7; 32]);
        let mut browser = Browser::default();
        let (callback, _) = world.begin(&mut browser, PAGE);
        let (reply, _) = world.come_back_with(&mut browser, &callback, |world, request| {
            let sent = request
                .headers
                .iter()
                .find(|(name, _)| *name == "authorization");
            assert_eq!(
                sent.map(|(_, value)| value.as_str()),
                authorization,
                "{method}"
            );
            let form = form(&request.body);
            let found = (
                form.contains_key("client_id"),
                form.contains_key("client_secret"),
            );
            assert_eq!(found, in_form, "{method}");
            world.token(request)
        });
        assert_eq!(reply.status, 302);
    }
}

#[test]
fn a_login_begins_only_where_it_can_end() {
    let world = World::new();
    let headers = Vec::new();
    for host in ["other.example.com", "shop.example.com.evil.example", ""] {
        let asked = Request {
            host,
            ..request("GET", "/", &headers)
        };
        let (decision, _) = world.edge.decide(&asked, &world.fresh(), &NoCache);
        assert_eq!(replied(decision).status, 401, "{host}");
        // There, the path of the callback is a path as any other.
        let asked = Request {
            host,
            ..request("GET", "/login/callback", &headers)
        };
        let (_, record) = world.edge.decide(&asked, &world.fresh(), &NoCache);
        assert_eq!(record.reason, Some("session_missing"), "{host}");
    }
}

#[test]
fn a_user_ends_the_session_here_and_at_the_provider() {
    for method in ["GET", "POST"] {
        let mut world = World::new();
        let mut browser = Browser::default();
        world.log_in(&mut browser, PAGE);
        let own = [("sec-fetch-site", "same-origin")];
        let seen = world.send(&mut browser, method, "/logout", &own);
        assert_eq!(seen.record.outcome, Outcome::LoggedOut);
        let reply = replied(seen.decision);
        assert_eq!(reply.status, 303);
        assert_eq!(
            reply.header("location"),
            Some("https://login.example.com/session/end?client_id=shop")
        );
        assert_eq!(browser.named("__Host-session"), [""; 0]);
        assert_eq!(replied(world.get(&mut browser, PAGE).decision).status, 302);
    }
}
