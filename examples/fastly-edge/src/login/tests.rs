//! Whole logins, and the attacks on them: browsers that keep cookies, and a provider that checks what RFC 6749 and
//! RFC 7636 tell it to check. `tests/edge/login.rs` does the same with a real provider.

mod attacks;
mod flow;

use std::collections::BTreeMap;

use serde_json::json;
use url::Url;

use super::key::base64url;
use crate::edge::{Decision, Edge, Edits, Fresh, Request};
use crate::login::exchange::{TokenAnswer, TokenRequest};
use crate::mint::tests::signing_key;
use crate::record::{Outcome, Record};
use crate::reply::Reply;
use crate::session::cache::NoCache;
use crate::session::tests::{NOW, Server};

const HOST: &str = "shop.example.com";
const PAGE: &str = "/orders?page=2&x=%3B";

/// A provider and the edge in front of it, at some time.
struct World {
    server: Server,
    edge: Edge,
    now: u64,
    /// The codes that were given out, each with its challenge and nonce.
    codes: BTreeMap<String, (String, String)>,
}

/// A browser: its cookies, in the order in which they were set.
#[derive(Default, Clone)]
struct Browser(Vec<(String, String)>);

/// What the browser gets, and what the edge logs.
struct Seen {
    decision: Decision,
    record: Record,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {}, &[7; 32])
    }

    fn with(change: impl FnOnce(&mut serde_json::Value), login_key: &[u8]) -> Self {
        let server = Server::new();
        let mut settings = serde_json::from_str(crate::settings::tests::JSON).unwrap();
        change(&mut settings);
        let edge = Edge::load(
            |name| match name {
                "settings" => Some(settings.to_string()),
                "session_jwks" => Some(json!({"keys": [server.jwk()]}).to_string()),
                _ => None,
            },
            |name| match name {
                "signing_key" => Some(signing_key().to_jwk().into_bytes()),
                "login_key" => Some(login_key.to_vec()),
                "client_secret" => Some(b"s&cr:t".to_vec()),
                _ => None,
            },
            |_| None,
        );
        Self {
            server,
            edge: edge.unwrap(),
            now: NOW,
            codes: BTreeMap::new(),
        }
    }

    fn fresh(&self) -> Fresh {
        Fresh::new(self.now * 1000)
    }

    /// A navigation of the browser.
    fn get(&self, browser: &mut Browser, path_and_query: &str) -> Seen {
        self.send(browser, "GET", path_and_query, &[])
    }

    fn send(
        &self,
        browser: &mut Browser,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
    ) -> Seen {
        let headers = browser.headers(headers);
        let request = request(method, path_and_query, &headers);
        let (decision, mut record) = self.edge.decide(&request, &self.fresh(), &NoCache);
        if let Decision::Reply(reply) = &decision {
            record.status = reply.status;
            browser.take(reply);
        }
        if let Decision::Forward(edits) = &decision {
            for cookie in &edits.response_cookies {
                browser.set(cookie);
            }
        }
        Seen { decision, record }
    }

    /// The provider, once the user has logged in: the URL that it sends the browser to.
    fn authorize(&mut self, location: &str) -> String {
        let parameters = parameters(location);
        let code = format!("code-{}", self.codes.len());
        assert_eq!(parameters["code_challenge_method"], "S256");
        let stored = (
            parameters["code_challenge"].clone(),
            parameters["nonce"].clone(),
        );
        self.codes.insert(code.clone(), stored);
        answer(&[
            ("code", &code),
            ("state", &parameters["state"]),
            ("iss", "https://login.example.com"),
        ])
    }

    /// The token endpoint: each code once, with its verifier.
    fn token(&mut self, request: &TokenRequest) -> TokenAnswer {
        let form = form(&request.body);
        assert_eq!(form["grant_type"], "authorization_code");
        assert_eq!(
            form["redirect_uri"],
            "https://shop.example.com/login/callback"
        );
        let challenge = base64url(&hmac_sha256::Hash::hash(form["code_verifier"].as_bytes()));
        match self.codes.remove(&form["code"]) {
            Some((expected, nonce)) if expected == challenge => {
                let token = self.server.sign(&json!({"nonce": nonce}));
                tokens(&token)
            }
            _ => TokenAnswer {
                status: 400,
                body: br#"{"error":"invalid_grant"}"#.to_vec(),
            },
        }
    }

    /// The browser comes back with an answer of the provider, and the edge exchanges the code.
    fn come_back(&mut self, browser: &mut Browser, callback: &str) -> (Reply, Record) {
        self.come_back_with(browser, callback, Self::token)
    }

    fn come_back_with(
        &mut self,
        browser: &mut Browser,
        callback: &str,
        token: impl FnOnce(&mut Self, &TokenRequest) -> TokenAnswer,
    ) -> (Reply, Record) {
        let mut seen = self.get(browser, callback);
        let exchange = match seen.decision {
            Decision::Exchange(exchange) => exchange,
            decision => return (replied(decision), seen.record),
        };
        let answer = token(self, &exchange.request);
        let result = self.edge.complete(&exchange, Some(&answer), self.now);
        let headers = browser.headers(&[]);
        let request = request("GET", callback, &headers);
        let reply = self
            .edge
            .login_ended(&request, &exchange, result, &mut seen.record);
        browser.take(&reply);
        (reply, seen.record)
    }

    /// From a page to the provider and back.
    fn log_in(&mut self, browser: &mut Browser, page: &str) -> (Reply, Record) {
        let callback = self.begin(browser, page).0;
        self.come_back(browser, &callback)
    }

    /// From a page to the provider: its answer, and the record of the redirect.
    fn begin(&mut self, browser: &mut Browser, page: &str) -> (String, Record) {
        let seen = self.get(browser, page);
        let location = replied(seen.decision)
            .header("location")
            .unwrap()
            .to_owned();
        (self.authorize(&location), seen.record)
    }
}

impl Browser {
    fn headers(&self, more: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut headers = vec![("cookie".to_owned(), pairs.join("; ").into_bytes())];
        for (name, value) in more {
            headers.push(((*name).to_owned(), value.as_bytes().to_vec()));
        }
        headers
    }

    fn take(&mut self, reply: &Reply) {
        for (name, value) in &reply.headers {
            if name == "set-cookie" {
                self.set(value);
            }
        }
    }

    fn set(&mut self, cookie: &str) {
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        assert!(name.starts_with("__Host-"), "{cookie}");
        assert!(
            attributes.starts_with("Path=/; Max-Age=")
                && attributes.ends_with("; Secure; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
        assert!(pair.len() <= 4096, "browsers keep no longer cookies");
        self.0.retain(|(found, _)| found != name);
        if !attributes.contains("Max-Age=0;") {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    fn named(&self, prefix: &str) -> Vec<&str> {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        names.filter(|name| name.starts_with(prefix)).collect()
    }
}

fn request<'a>(
    method: &'a str,
    path_and_query: &'a str,
    headers: &'a [(String, Vec<u8>)],
) -> Request<'a> {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    Request {
        method,
        host: HOST,
        path,
        query,
        geo: None,
        headers,
    }
}

fn answer(parameters: &[(&str, &str)]) -> String {
    let url = Url::parse_with_params("https://shop.example.com/login/callback", parameters);
    let url = url.unwrap();
    format!("{}?{}", url.path(), url.query().unwrap())
}

fn tokens(id_token: &str) -> TokenAnswer {
    let body = json!({"id_token": id_token, "access_token": "a", "token_type": "Bearer"});
    TokenAnswer {
        status: 200,
        body: body.to_string().into_bytes(),
    }
}

fn parameters(url: &str) -> BTreeMap<String, String> {
    Url::parse(url)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

fn form(body: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect()
}

fn replied(decision: Decision) -> Reply {
    match decision {
        Decision::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn forwarded(decision: Decision) -> Edits {
    match decision {
        Decision::Forward(edits) => edits,
        other => panic!("{other:?}"),
    }
}

/// A refused callback: no session, no ID of the login that the answer names, no way to another page.
fn refused(world: &mut World, browser: &mut Browser, callback: &str, reason: &str) -> Record {
    let (reply, record) = world.come_back(browser, callback);
    assert_eq!(record.reason, Some(reason), "{callback}");
    assert!(matches!(reply.status, 400 | 403 | 502), "{reply:?}");
    assert_eq!(reply.header("location"), None);
    assert_eq!(browser.named("__Host-session"), [""; 0]);
    assert_eq!(browser.named("__Host-visit-"), [""; 0]);
    record
}
