//! Requests as a client of Envoy sends them: HTTP/1.1, HTTP/2 and gRPC, with or without TLS. Only
//! what makes a valid request is added to what a test asks for, and malformed requests are sent as they are.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::h1::{self, Field, Head, only_value, values};
use crate::h2::{Connection, Event};
use crate::printable;
use crate::tls::ClientTls;

/// How long a request may take before it counts as lost.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The one stream of a connection of HTTP/2.
const STREAM: u32 = 1;

/// The host that requests name where a test names none.
const HOST: &str = "shop.example.com";

/// Where requests go, and how: shared by many requests, each on a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    tls: Option<ClientTls>,
    /// What is sent first on each connection, before TLS.
    preface: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// A request under construction.
#[derive(Clone)]
#[must_use = "a request does nothing until `send`"]
pub struct Request {
    client: Client,
    protocol: Protocol,
    method: Vec<u8>,
    path: Vec<u8>,
    authority: Option<Vec<u8>>,
    pseudo: Vec<Field>,
    headers: Vec<Field>,
    body: Vec<u8>,
    chunked: bool,
    trailers: Vec<Field>,
    ends: bool,
}

/// What came back.
#[derive(Clone, Default)]
pub struct Response {
    /// 0: the peer closed or reset without a status; `error` says how.
    pub status: u16,
    pub headers: Vec<Field>,
    pub body: Vec<u8>,
    /// HTTP/2 only.
    pub trailers: Vec<Field>,
    /// Why there is no (whole) response.
    pub error: Option<String>,
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Client {
    /// A client without TLS of a port on loopback.
    #[must_use]
    pub const fn new(port: u16) -> Self {
        Self::to(loopback(port))
    }

    /// A client without TLS of any address.
    #[must_use]
    pub const fn to(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            preface: Vec::new(),
        }
    }

    /// A client with TLS, and with a certificate of its own where the settings hold one.
    #[must_use]
    pub const fn with_tls(port: u16, tls: ClientTls) -> Self {
        Self {
            address: loopback(port),
            tls: Some(tls),
            preface: Vec::new(),
        }
    }

    /// Sends these bytes first on each connection, before TLS: a PROXY protocol header for instance.
    #[must_use]
    pub fn preface(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.preface = bytes.into();
        self
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn get(&self, path: impl AsRef<[u8]>) -> Request {
        self.request("GET", path)
    }

    /// Method and path may be any bytes.
    pub fn request(&self, method: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Request {
        Request {
            client: self.clone(),
            protocol: Protocol::Http1,
            method: method.as_ref().to_vec(),
            path: path.as_ref().to_vec(),
            authority: Some(HOST.as_bytes().to_vec()),
            pseudo: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            chunked: false,
            trailers: Vec::new(),
            ends: true,
        }
    }

    /// A gRPC call with one message.
    pub fn grpc(&self, method: &str, message: &[u8]) -> Request {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut body = vec![0];
        body.extend(length.to_be_bytes());
        body.extend(message);
        self.request("POST", method)
            .http2()
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)
    }

    /// Sends bytes as they are over a new connection and reads one response.
    #[must_use]
    pub fn raw(&self, bytes: &[u8]) -> Response {
        self.conversation(&[bytes]).remove(0)
    }

    /// Sends requests as they are, one after the other over one connection: the next when the
    /// response to the last has come.
    #[must_use]
    pub fn conversation(&self, requests: &[&[u8]]) -> Vec<Response> {
        let mut stream = match self.connect(&[b"http/1.1"]) {
            Ok(stream) => BufReader::new(stream),
            Err(error) => return vec![Response::lost(&error); requests.len()],
        };
        let mut exchange = |bytes: &[u8]| {
            // Where Envoy refuses early, it may close before all is written; its answer is there
            // still.
            let written = stream
                .get_mut()
                .write_all(bytes)
                .and_then(|()| stream.get_mut().flush());
            read_response(&mut stream, bytes.starts_with(b"HEAD "))
                .unwrap_or_else(|error| Response::lost(written.as_ref().err().unwrap_or(&error)))
        };
        requests.iter().map(|bytes| exchange(bytes)).collect()
    }

    fn connect(&self, protocols: &[&[u8]]) -> io::Result<Stream> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(&self.preface)?;
        match &self.tls {
            None => Ok(Stream::Plain(stream)),
            Some(tls) => Ok(Stream::Tls(Box::new(tls.connect(stream, protocols)?))),
        }
    }
}

impl Request {
    /// Over HTTP/2: by prior knowledge, or by ALPN with TLS.
    pub const fn http2(mut self) -> Self {
        self.protocol = Protocol::Http2;
        self
    }

    /// Adds a header field; the same name twice makes two fields. Any bytes will do.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// `Host` over HTTP/1.1, `:authority` over HTTP/2.
    pub fn host(mut self, host: impl AsRef<[u8]>) -> Self {
        self.authority = Some(host.as_ref().to_vec());
        self
    }

    pub fn no_host(mut self) -> Self {
        self.authority = None;
        self
    }

    /// Adds a pseudo-header (HTTP/2), as `:protocol` of an extended CONNECT.
    pub fn pseudo(mut self, name: &str, value: &str) -> Self {
        self.pseudo
            .push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body without a `content-length`: in chunks over HTTP/1.1.
    pub const fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Adds a field behind the body. Over HTTP/1.1 the body is chunked for it.
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.trailers
            .push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self.chunked()
    }

    /// Leaves the request's stream open (HTTP/2), as upgrades do.
    pub const fn left_open(mut self) -> Self {
        self.ends = false;
        self
    }

    /// Sends it and waits for the whole response.
    #[must_use]
    pub fn send(self) -> Response {
        match self.protocol {
            Protocol::Http1 => self.client.raw(&self.to_http1()),
            Protocol::Http2 => self.send_http2(),
        }
    }

    /// The request's bytes in HTTP/1.1.
    #[must_use]
    pub fn to_http1(&self) -> Vec<u8> {
        let line = [self.method.as_slice(), b" ", &self.path, b" HTTP/1.1"].concat();
        let mut fields = Vec::new();
        fields.extend(self.authority.clone().map(|host| (b"host".to_vec(), host)));
        fields.extend(self.headers.clone());
        if self.chunked {
            fields.push((b"transfer-encoding".to_vec(), b"chunked".to_vec()));
            let body = h1::chunked(&self.body, &self.trailers);
            return h1::write(&line, &fields, &body);
        }
        if !self.body.is_empty() {
            fields.push((
                b"content-length".to_vec(),
                self.body.len().to_string().into_bytes(),
            ));
        }
        h1::write(&line, &fields, &self.body)
    }

    fn send_http2(&self) -> Response {
        let mut response = Response::default();
        if let Err(error) = self.exchange_http2(&mut response) {
            response.error = Some(error.to_string());
        }
        response
    }

    /// Sends it, and gives up after that time: closes the connection (HTTP/1.1), resets the stream
    /// (HTTP/2). An answer that came before is not read.
    ///
    /// # Panics
    /// Where it can't be sent.
    pub fn send_and_give_up(self, after: Duration) {
        let result = match self.protocol {
            Protocol::Http1 => self.client.connect(&[b"http/1.1"]).and_then(|mut stream| {
                stream.write_all(&self.to_http1())?;
                stream.flush()?;
                thread::sleep(after);
                Ok(())
            }),
            Protocol::Http2 => self.open_http2().and_then(|mut connection| {
                thread::sleep(after);
                connection.send_reset(STREAM)?;
                // Envoy reads the reset before it sees the connection end.
                thread::sleep(Duration::from_millis(50));
                Ok(())
            }),
        };
        result.unwrap_or_else(|error| panic!("{self:?}: {error}"));
    }

    /// Sends the request over a new connection.
    fn open_http2(&self) -> io::Result<Connection<Stream>> {
        let mut connection = Connection::client(self.client.connect(&[b"h2"])?)?;
        let scheme: &[u8] = if self.client.tls.is_some() {
            b"https"
        } else {
            b"http"
        };
        let mut fields = vec![(b":method".to_vec(), self.method.clone())];
        if self.method != b"CONNECT" || !self.pseudo.is_empty() {
            fields.push((b":scheme".to_vec(), scheme.to_vec()));
            fields.push((b":path".to_vec(), self.path.clone()));
        }
        fields.extend(
            self.authority
                .clone()
                .map(|host| (b":authority".to_vec(), host)),
        );
        fields.extend(self.pseudo.iter().chain(&self.headers).cloned());
        let has_trailers = !self.trailers.is_empty();
        let ends = self.ends && self.body.is_empty() && !has_trailers;
        connection.send_headers(STREAM, &fields, ends)?;
        if !self.body.is_empty() {
            connection.send_data(STREAM, &self.body, self.ends && !has_trailers)?;
        }
        if has_trailers {
            connection.send_headers(STREAM, &self.trailers, true)?;
        }
        Ok(connection)
    }

    fn exchange_http2(&self, response: &mut Response) -> io::Result<()> {
        let mut connection = self.open_http2()?;
        loop {
            let ended = match connection.next()? {
                None => return Err(io::Error::other("the connection was closed")),
                Some(Event::GoAway { code }) if code != 0 => {
                    return Err(io::Error::other(format!("GOAWAY, code {code}")));
                }
                Some(Event::Reset { code, .. }) => {
                    return Err(io::Error::other(format!("RST_STREAM, code {code}")));
                }
                Some(Event::Headers { fields, end, .. }) => {
                    response.take_fields(fields);
                    // An upgrade that was accepted has no end to wait for.
                    end || (!self.ends && response.status == 200)
                }
                Some(Event::Data { bytes, end, .. }) => {
                    response.body.extend(bytes);
                    end
                }
                Some(Event::GoAway { .. }) => false,
            };
            if ended {
                return Ok(());
            }
        }
    }
}

impl Response {
    fn lost(error: &io::Error) -> Self {
        Self {
            error: Some(error.to_string()),
            ..Self::default()
        }
    }

    /// The fields of a header or trailer block (HTTP/2).
    fn take_fields(&mut self, fields: Vec<Field>) {
        let status = fields.iter().find(|(name, _)| name == b":status");
        let status = status.and_then(|(_, value)| str::from_utf8(value).ok()?.parse().ok());
        match status {
            Some(status) => {
                self.status = status;
                self.headers = fields
                    .into_iter()
                    .filter(|(name, _)| name[0] != b':')
                    .collect();
            }
            None => self.trailers = fields,
        }
    }

    /// The values of a header, each of its instances on its own, as [`printable`] text.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        values(&self.headers, name)
    }

    /// The value of a header that occurs at most once.
    ///
    /// # Panics
    /// If it occurs more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        only_value("the response", &self.headers, name)
    }

    /// A trailer; for a trailers-only response of gRPC, the header of that name.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<String> {
        let named = |(other, _): &&Field| other.eq_ignore_ascii_case(name.as_bytes());
        let field = self
            .trailers
            .iter()
            .find(named)
            .or_else(|| self.headers.iter().find(named));
        field.map(|(_, value)| printable(value))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not valid.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        };
        let (method, path) = (printable(&self.method), printable(&self.path));
        write!(formatter, "{method} {path} {version}")?;
        if let Some(host) = &self.authority {
            write!(formatter, " host {}", printable(host))?;
        }
        for (name, value) in self.pseudo.iter().chain(&self.headers) {
            write!(formatter, " {}: {}", printable(name), printable(value))?;
        }
        write!(formatter, " with {} bytes of body", self.body.len())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "status {}", self.status)?;
        for (name, value) in self.headers.iter().chain(&self.trailers) {
            writeln!(formatter, "{}: {}", printable(name), printable(value))?;
        }
        if let Some(error) = &self.error {
            writeln!(formatter, "error: {error}")?;
        }
        write!(formatter, "\n{}", self.text())
    }
}

/// A connection with or without TLS.
enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Self::Plain(stream) = self {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn read_response(stream: &mut BufReader<Stream>, to_head: bool) -> io::Result<Response> {
    loop {
        let head =
            Head::read(stream)?.ok_or_else(|| io::Error::other("closed without a response"))?;
        let line = String::from_utf8_lossy(&head.line).into_owned();
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other(format!("no status: {line}")))?;
        // Interim responses come before the one that counts (RFC 9110 §15.2), but for an upgrade.
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let bodyless = to_head || matches!(status, 101 | 204 | 304);
        let body = if bodyless {
            Vec::new()
        } else {
            head.read_body(stream, true)?
        };
        return Ok(Response {
            status,
            headers: head.fields,
            body,
            ..Response::default()
        });
    }
}
