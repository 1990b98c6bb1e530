//! A browser as far as a login needs one: cookies of two hosts, redirects, and the forms of the provider's pages.
//! The login in a real browser is a test of examples/docker-compose.

use std::collections::BTreeMap;

use edge_claims_harness::provider::Provider;
use edge_claims_harness::{Client, Request, Response};

use crate::viceroy::Viceroy;

/// The edge's host, as browsers name it.
pub const SHOP: &str = "https://shop.example.com";

/// Who logs in, with which cookies of whom.
#[derive(Debug, Clone)]
pub struct Browser {
    pub user: &'static str,
    pub shop: Jar,
    provider: Jar,
}

/// The cookies of one host.
#[derive(Debug, Clone, Default)]
pub struct Jar(pub BTreeMap<String, String>);

impl Browser {
    pub fn new(user: &'static str) -> Self {
        Self {
            user,
            shop: Jar::default(),
            provider: Jar::default(),
        }
    }

    /// A navigation to a page of the edge.
    pub fn get(&mut self, edge: &Viceroy, path: &str) -> Response {
        let request = edge.client().get(path).header("sec-fetch-mode", "navigate");
        let response = self.shop.on(request).send();
        self.shop.take(&response);
        response
    }

    /// From the provider's authorization endpoint, through its pages, to the path at the edge that it sends the browser
    /// to.
    ///
    /// # Panics
    /// Where the provider does something else.
    pub fn log_in(&mut self, provider: &Provider, location: &str) -> String {
        let mut path = on(&provider.issuer(), location);
        for _ in 0..10 {
            let client = Client::new(provider.port());
            let response = self.at_provider(provider, client.get(&path));
            if response.status == 200 {
                // A page of the provider: first the login, then the consent.
                let page = response.text();
                let prompt = if page.contains(r#"value="login""#) {
                    "login"
                } else {
                    "consent"
                };
                let form = format!("prompt={prompt}&login={}&password=x", self.user);
                let post = client
                    .request("POST", &path)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form);
                path = on(
                    &provider.issuer(),
                    &redirect(&self.at_provider(provider, post)),
                );
                continue;
            }
            let location = redirect(&response);
            if location.starts_with(SHOP) {
                return on(SHOP, &location);
            }
            path = on(&provider.issuer(), &location);
        }
        panic!("the provider leads nowhere: {path}");
    }

    /// The whole login from a page: the redirect, the provider, the callback and the first request.
    pub fn visit(&mut self, edge: &Viceroy, provider: &Provider, page: &str) -> [Response; 3] {
        let start = self.get(edge, page);
        let callback = self.log_in(provider, &redirect(&start));
        let back = self.get(edge, &callback);
        let first = self.get(edge, &redirect(&back));
        [start, back, first]
    }

    fn at_provider(&mut self, provider: &Provider, request: Request) -> Response {
        let request = request
            .host(format!("127.0.0.1:{}", provider.port()))
            .header("connection", "close");
        let response = self.provider.on(request).send();
        self.provider.take(&response);
        response
    }
}

impl Jar {
    pub fn on(&self, request: Request) -> Request {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if pairs.is_empty() {
            return request;
        }
        request.header("cookie", pairs.join("; "))
    }

    pub fn take(&mut self, response: &Response) {
        for cookie in response.all("set-cookie") {
            let (pair, attributes) = cookie.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            let attributes = attributes.to_ascii_lowercase();
            let gone =
                attributes.contains("max-age=0") || attributes.contains("expires=thu, 01 jan 1970");
            if gone {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// Where a redirect leads.
pub fn redirect(response: &Response) -> String {
    assert!(matches!(response.status, 302 | 303), "{response:?}");
    response.header("location").expect("a redirect has a place")
}

fn on(origin: &str, url: &str) -> String {
    let path = url.strip_prefix(origin).unwrap_or(url);
    assert!(path.starts_with('/'), "{url} is not on {origin}");
    path.to_owned()
}
