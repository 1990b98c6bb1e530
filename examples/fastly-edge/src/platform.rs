//! Fastly Compute: the client's request in, the mesh's or the edge's own answer out, one log line.

mod cache;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fastly::http::Version;
use fastly::log::Endpoint;
use fastly::{ConfigStore, Request, Response, SecretStore};

use self::cache::{ProviderKeys, Sessions};
use fastly_edge::edge::{self, DEFAULT_CORRELATION_HEADER, Decision, Edge, Edits, Fresh};
use fastly_edge::geo::Geo;
use fastly_edge::headers::CLIENT_ADDRESS;
use fastly_edge::login::Failure;
use fastly_edge::login::exchange::{MAX_ANSWER_LENGTH, TokenAnswer, TokenRequest};
use fastly_edge::record::Record;
use fastly_edge::reply::{Form, Reply};
use fastly_edge::session::{SessionError, SessionKeys};

/// The backends: the provider's; and the mesh, twice, because Fastly speaks HTTP/2 to a backend only if asked.
const BACKEND: &str = "mesh";
const LOGIN_BACKEND: &str = "login";
const KEYS_BACKEND: &str = "login_keys";
const GRPC_BACKEND: &str = "mesh_grpc";
const CONFIG_STORE: &str = "edge_config";
const SECRET_STORE: &str = "edge_secrets";
const LOG_ENDPOINT: &str = "edge_log";

/// Answers the client's request.
pub(crate) fn serve() {
    let started = Instant::now();
    let client = Request::from_client();
    let headers: Vec<(String, Vec<u8>)> = client
        .get_headers()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    let url = client.get_url().clone();
    // The Host header rather than the URL: the URL drops a default port.
    let host = client.get_header_str("host").unwrap_or_default().to_owned();
    let host = if host.is_empty() {
        url.host_str().unwrap_or_default().to_owned()
    } else {
        host
    };
    let method = client.get_method_str().to_owned();
    let mut waits = Waits::default();
    let (mut loaded, mut keys) = load(&mut waits);
    let uses_geo = loaded.as_ref().is_ok_and(|edge| edge.settings.claims.geo);
    let geo = uses_geo.then(|| geo_of(&client)).flatten();
    let request = edge::Request {
        method: &method,
        host: &host,
        path: url.path(),
        query: url.query(),
        geo: geo.as_ref(),
        headers: &headers,
    };
    let fresh = Fresh::new(now_ms());
    let (header, mut record, mut response) = match &mut loaded {
        Ok(edge) => {
            let (record, response) = answer(client, &request, &fresh, edge, &mut keys, &mut waits);
            (edge.settings.correlation.header.as_str(), record, response)
        }
        Err(error) => {
            let header = DEFAULT_CORRELATION_HEADER;
            let correlation = request.correlation(header, false, &fresh);
            let mut record = request.record(&correlation, &fresh);
            record.fail("not_configured", 503);
            record.error = Some(error.to_string());
            let (form, id) = (request.form(), &record.correlation_id);
            let reply = Reply::problem(form, 503, "not_configured", header, id);
            (header, record, own(reply))
        }
    };
    record.pop = environment("FASTLY_POP");
    record.service_version = environment("FASTLY_SERVICE_VERSION");
    // The mesh says it too; where it could not, the edge does.
    response.set_header(header, record.correlation_id.as_str());
    record.status = response.get_status().as_u16();
    let elapsed = started.elapsed();
    let own = elapsed.saturating_sub(waits.total());
    record.duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    record.edge_us = micros(own);
    record.mesh_us = waits.mesh.map(micros);
    record.provider_us = waits.provider.map(micros);
    log(&record);
    response.send_to_client();
    // The client has its response: it does not wait for this.
    if let Some(keys) = keys {
        keys.refresh();
    }
}

/// The response to a request, and its record as far as it is known before the response is out.
fn answer(
    client: Request,
    request: &edge::Request<'_>,
    fresh: &Fresh,
    edge: &mut Edge,
    keys: &mut Option<ProviderKeys>,
    waits: &mut Waits,
) -> (Record, Response) {
    let (mut decision, mut record) = edge.decide(request, fresh, &Sessions);
    if record.reason == Some(SessionError::KeyUnknown.code()) && learn(edge, keys, waits) {
        (decision, record) = edge.decide(request, fresh, &Sessions);
    }
    let response = match decision {
        Decision::Reply(reply) => own(reply),
        Decision::Forward(edits) => forward(client, request, edge, edits, &mut record, waits),
        Decision::Exchange(exchange) => {
            let tokens = tokens(&exchange.request, waits);
            let now = now_ms() / 1000;
            let mut result = edge.complete(&exchange, tokens.as_ref(), now);
            if result.as_ref().is_err_and(Failure::is_unknown_key) && learn(edge, keys, waits) {
                result = edge.complete(&exchange, tokens.as_ref(), now);
            }
            own(edge.login_ended(request, &exchange, result, &mut record))
        }
    };
    (record, response)
}

/// Whether the provider has other keys now, which a token with an unknown key suggests.
fn learn(edge: &mut Edge, keys: &mut Option<ProviderKeys>, waits: &mut Waits) -> bool {
    let Some(keys) = keys else { return false };
    let asked = Instant::now();
    let text = keys.refetch();
    waits.add_provider(asked.elapsed());
    let parsed = text.and_then(|text| SessionKeys::parse(&text).ok());
    let learned = parsed.is_some();
    if let Some(parsed) = parsed {
        edge.session_keys = parsed;
    }
    learned
}

/// Where the client is, as the platform knows it by the address.
fn geo_of(client: &Request) -> Option<Geo> {
    let found = fastly::geo::geo_lookup(client.get_client_ip_addr()?)?;
    let region = found.region().unwrap_or_default();
    let continent = found.continent();
    Geo::new(
        continent.as_code(),
        found.country_code(),
        region,
        found.city(),
    )
}

/// How long the edge waited for others.
#[derive(Default)]
struct Waits {
    mesh: Option<Duration>,
    provider: Option<Duration>,
}

impl Waits {
    fn add_provider(&mut self, wait: Duration) {
        self.provider = Some(self.provider.unwrap_or_default().saturating_add(wait));
    }

    fn total(&self) -> Duration {
        let (mesh, provider) = (
            self.mesh.unwrap_or_default(),
            self.provider.unwrap_or_default(),
        );
        mesh.saturating_add(provider)
    }
}

/// Sends the client's request to the mesh.
fn forward(
    mut client: Request,
    request: &edge::Request<'_>,
    edge: &Edge,
    edits: Edits,
    record: &mut Record,
    waits: &mut Waits,
) -> Response {
    let cookies = edits.response_cookies.clone();
    apply(&mut client, edits);
    // The hop to the mesh has a protocol of its own, whatever the client speaks.
    let (backend, version) = match request.form() {
        Form::Grpc => (GRPC_BACKEND, Version::HTTP_2),
        Form::Problem => (BACKEND, Version::HTTP_11),
    };
    client.set_version(version);
    let sent = Instant::now();
    let answer = client.send(backend);
    waits.mesh = Some(sent.elapsed());
    let mut response = answer.unwrap_or_else(|error| {
        record.fail("mesh_unreachable", 502);
        record.error = Some(error.root_cause().to_string());
        let header = &edge.settings.correlation.header;
        let id = &record.correlation_id;
        own(Reply::problem(
            request.form(),
            502,
            "mesh_unreachable",
            header,
            id,
        ))
    });
    for cookie in cookies {
        response.append_header("set-cookie", cookie);
    }
    response
}

/// Asks the provider's token endpoint; `None` where it cannot be reached.
fn tokens(request: &TokenRequest, waits: &mut Waits) -> Option<TokenAnswer> {
    let mut post = Request::post(&request.url).with_body(request.body.clone());
    for (name, value) in &request.headers {
        post.set_header(*name, value.as_str());
    }
    post.set_pass(true);
    let sent = Instant::now();
    let answer = post
        .send(LOGIN_BACKEND)
        .ok()
        .map(|mut response| TokenAnswer {
            status: response.get_status().as_u16(),
            body: bounded_body(&mut response, MAX_ANSWER_LENGTH),
        });
    waits.add_provider(sent.elapsed());
    answer
}

/// The body, at most a byte more than `limit`, so that what is too long can be told.
fn bounded_body(response: &mut Response, limit: usize) -> Vec<u8> {
    use std::io::Read as _;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut body = Vec::new();
    // What breaks off in the middle is no JSON, and is refused for that.
    let _ = response.get_body_mut().take(limit).read_to_end(&mut body);
    body
}

/// The edge, and the provider's keys if the settings say where they are.
fn load(waits: &mut Waits) -> (Result<Edge, edge::LoadError>, Option<ProviderKeys>) {
    let config = ConfigStore::try_open(CONFIG_STORE).ok();
    let secrets = SecretStore::open(SECRET_STORE).ok();
    let mut keys = None;
    let edge = Edge::load(
        |name| config.as_ref()?.try_get(name).ok()?,
        |name| {
            let secret = secrets.as_ref()?.try_get(name).ok()??;
            Some(secret.try_plaintext().ok()?.to_vec())
        },
        |source| {
            let (loaded, waited) = ProviderKeys::load(source);
            if let Some(waited) = waited {
                waits.add_provider(waited);
            }
            let text = loaded.text.clone();
            keys = Some(loaded);
            text
        },
    );
    (edge, keys)
}

fn apply(request: &mut Request, edits: Edits) {
    for name in edits.remove {
        request.remove_header(name.as_str());
    }
    for (name, value) in edits.set {
        request.set_header(name.as_str(), value.as_slice());
    }
    if let Some(address) = request.get_client_ip_addr() {
        request.set_header(CLIENT_ADDRESS, address.to_string());
    }
    // What one user may see must not be answered to the next from the cache.
    request.set_pass(true);
}

fn own(reply: Reply) -> Response {
    let mut response = Response::from_status(reply.status);
    for (name, value) in &reply.headers {
        response.append_header(name.as_str(), value.as_str());
    }
    response.set_body(reply.body);
    response
}

/// One line to the log endpoint. A log that cannot be written fails no request.
fn log(record: &Record) {
    use std::io::Write as _;
    if let Ok(mut endpoint) = Endpoint::try_from_name(LOG_ENDPOINT) {
        // In one write: the platform takes each write for a line.
        let _ = endpoint.write_all(format!("{}\n", record.to_line()).as_bytes());
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
