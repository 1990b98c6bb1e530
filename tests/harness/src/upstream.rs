//! The server behind Envoy: it keeps every request, and answers with a JSON picture of what it
//! received, or as a test wants it to. HTTP/1.1, HTTP/2 (prior knowledge) and gRPC on one port.

use std::fmt;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::h1::{self, Field, Head, only_value, values};
use crate::h2::{Connection, Event};
use crate::printable;

/// A request as the upstream received it: every byte, in its order.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// `1.1` or `2`
    pub protocol: &'static str,
    pub method: Vec<u8>,
    /// The request target with its query.
    pub path: Vec<u8>,
    /// `Host` or `:authority`
    pub authority: Vec<u8>,
    /// All fields but pseudo-headers and `host`; names as they came.
    pub headers: Vec<Field>,
    pub body: Vec<u8>,
    /// The fields behind the body.
    pub trailers: Vec<Field>,
}

impl Seen {
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
        only_value("what reached the upstream", &self.headers, name)
    }

    /// The request target as [`printable`] text.
    #[must_use]
    pub fn path(&self) -> String {
        printable(&self.path)
    }

    fn to_json(&self) -> Value {
        let pairs = |fields: &[Field]| -> Vec<Value> {
            fields
                .iter()
                .map(|(name, value)| json!([printable(name), printable(value)]))
                .collect()
        };
        json!({
            "protocol": self.protocol,
            "method": printable(&self.method),
            "path": printable(&self.path),
            "authority": printable(&self.authority),
            "headers": pairs(&self.headers),
            "body": printable(&self.body),
            "trailers": pairs(&self.trailers),
        })
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.to_json())
    }
}

/// What the upstream sends back.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// 0 closes the connection without a response.
    pub status: u16,
    pub headers: Vec<Field>,
    pub body: Vec<u8>,
    /// Sent over HTTP/2 only.
    pub trailers: Vec<Field>,
    /// How long the upstream waits before it answers.
    pub after: Duration,
}

impl Answer {
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![field("content-type", "application/json")];
        Self {
            status,
            headers,
            body: body.to_string().into_bytes(),
            ..Self::default()
        }
    }

    /// The picture of the request; a gRPC call gets its message back.
    #[must_use]
    pub fn echo(seen: &Seen) -> Self {
        let content_type = seen.all("content-type");
        if content_type
            .first()
            .is_some_and(|value| value.starts_with("application/grpc"))
        {
            return Self {
                status: 200,
                headers: vec![field("content-type", "application/grpc")],
                body: seen.body.clone(),
                trailers: vec![field("grpc-status", "0")],
                after: Duration::ZERO,
            };
        }
        Self::json(200, &seen.to_json())
    }
}

/// A running upstream; it stops when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    seen: Mutex<Vec<Seen>>,
    closing: AtomicBool,
    answer: Box<dyn Fn(&Seen) -> Answer + Send + Sync>,
}

impl Upstream {
    /// An upstream that echoes, on a free port of loopback.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn start() -> Self {
        Self::answering(Answer::echo)
    }

    /// An upstream that answers as the function says, on a free port of loopback.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn answering(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(
            TcpListener::bind("127.0.0.1:0").expect("a free port"),
            answer,
        )
    }

    /// An upstream that echoes, on that address.
    ///
    /// # Panics
    /// Where the address is taken.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address)
            .unwrap_or_else(|error| panic!("an upstream cannot listen on {address}: {error}"));
        Self::serve(listener, Answer::echo)
    }

    fn serve(
        listener: TcpListener,
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("the port's number");
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            closing: AtomicBool::new(false),
            answer: Box::new(answer),
        });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &theirs));
        Self { address, shared }
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// What arrived so far, in the order of arrival.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen().clone()
    }

    /// How many requests arrived so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.seen().len()
    }

    /// What arrived since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen())
    }

    /// The one request that arrived since the last call.
    ///
    /// # Panics
    /// Where there were none, or more.
    #[must_use]
    pub fn only(&self) -> Seen {
        let mut seen = self.take();
        assert_eq!(
            seen.len(),
            1,
            "exactly one request should have reached the upstream: {seen:?}"
        );
        seen.remove(0)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a request and answers it; an error where the answer is to hang up.
    fn answer(&self, seen: Seen) -> io::Result<Answer> {
        let answer = (self.answer)(&seen);
        self.seen().push(seen);
        thread::sleep(answer.after);
        if answer.status == 0 {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok(answer)
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.closing.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(stream) = stream {
            let shared = Arc::clone(shared);
            // A connection's error is its peer's going away; what it sent before counts.
            thread::spawn(move || serve(&stream, &shared));
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0; 4];
    // Envoy sends a request's head at once, so that four bytes are there together.
    loop {
        match stream.peek(&mut first)? {
            0 => return Ok(()),
            4 => break,
            _ => thread::sleep(Duration::from_millis(1)),
        }
    }
    let result = if Connection::<TcpStream>::announces(&first) {
        serve_h2(stream, shared)
    } else {
        serve_h1(stream, shared)
    };
    let _ = stream.shutdown(Shutdown::Both);
    result
}

fn serve_h1(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(head) = Head::read(&mut reader)? {
        let (body, trailers) = head.read_body_and_trailers(&mut reader, false)?;
        let mut words = head.line.splitn(2, |byte| *byte == b' ');
        let method = words.next().unwrap_or_default().to_vec();
        let rest = words.next().unwrap_or_default();
        // The target may hold anything, spaces too; the version is what stands behind the last one.
        let space = rest
            .iter()
            .rposition(|byte| *byte == b' ')
            .unwrap_or(rest.len());
        let path = rest[..space].to_vec();
        let (hosts, headers): (Vec<Field>, Vec<Field>) = head
            .fields
            .into_iter()
            .partition(|(name, _)| name.eq_ignore_ascii_case(b"host"));
        let authority = hosts
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
            .join(&b',');
        let seen = Seen {
            protocol: "1.1",
            method,
            path,
            authority,
            headers,
            body,
            trailers,
        };
        let answers_with_body = seen.method != b"HEAD";
        let answer = shared.answer(seen)?;
        let mut fields = answer.headers;
        fields.push(field("content-length", &answer.body.len().to_string()));
        let body = if answers_with_body {
            answer.body.as_slice()
        } else {
            &[]
        };
        let line = format!("HTTP/1.1 {} Answer", answer.status);
        writer.write_all(&h1::write(line.as_bytes(), &fields, body))?;
    }
    Ok(())
}

fn serve_h2(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut connection = Connection::server(stream)?;
    let mut open: Vec<(u32, Seen)> = Vec::new();
    while let Some(event) = connection.next()? {
        let ended = match event {
            Event::Headers {
                stream,
                fields,
                end,
            } => {
                match open.iter_mut().find(|(id, _)| *id == stream) {
                    Some((_, seen)) => seen.trailers = fields,
                    None => open.push((stream, from_fields(fields))),
                }
                end.then_some(stream)
            }
            Event::Data { stream, bytes, end } => {
                if let Some((_, seen)) = open.iter_mut().find(|(id, _)| *id == stream) {
                    seen.body.extend(bytes);
                }
                end.then_some(stream)
            }
            Event::Reset { stream, .. } => {
                open.retain(|(id, _)| *id != stream);
                None
            }
            Event::GoAway { .. } => break,
        };
        let Some(index) = ended.and_then(|stream| open.iter().position(|(id, _)| *id == stream))
        else {
            continue;
        };
        let (stream, seen) = open.remove(index);
        let answer = shared.answer(seen)?;
        let mut fields = vec![field(":status", &answer.status.to_string())];
        fields.extend(answer.headers);
        connection.send_headers(stream, &fields, false)?;
        connection.send_data(stream, &answer.body, answer.trailers.is_empty())?;
        if !answer.trailers.is_empty() {
            connection.send_headers(stream, &answer.trailers, true)?;
        }
    }
    Ok(())
}

fn from_fields(fields: Vec<Field>) -> Seen {
    let mut seen = Seen {
        protocol: "2",
        ..Seen::default()
    };
    for (name, value) in fields {
        match name.as_slice() {
            b":method" => seen.method = value,
            b":path" => seen.path = value,
            b":authority" => seen.authority = value,
            _ => seen.headers.push((name, value)),
        }
    }
    seen
}

fn field(name: &str, value: &str) -> Field {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}
