//! The client in front of Envoy and the upstream behind it: HTTP/1.1, one request per connection.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// The start line and the headers of a message.
#[derive(Debug, Clone)]
pub struct Head {
    line: String,
    headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Response {
    pub head: Head,
    pub body: Vec<u8>,
}

/// Sends a request to a port on loopback and reads the response.
pub fn send(port: u16, line: &str, headers: &[(&str, &str)]) -> io::Result<Response> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    let mut request = format!("{line} HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    let mut stream = BufReader::new(stream);
    let head = Head::read(&mut stream)?;
    let length = head
        .header("content-length")
        .and_then(|length| length.parse().ok());
    let mut body = Vec::new();
    stream.take(length.unwrap_or(0)).read_to_end(&mut body)?;
    Ok(Response { head, body })
}

impl Response {
    /// The status code; 0 if the status line has none.
    pub fn status(&self) -> u16 {
        let status = self.head.line.split(' ').nth(1);
        status.and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The body as JSON; `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// An upstream that records each request and answers with what it received.
pub struct Upstream {
    pub port: u16,
    received: Arc<Mutex<Vec<Head>>>,
}

impl Upstream {
    /// Starts it on a free port of loopback; it runs until the process ends.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let received = Arc::default();
        let upstream = Self {
            port,
            received: Arc::clone(&received),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let received = Arc::clone(&received);
                // An error means that Envoy closed the connection; the demo then sees its response.
                thread::spawn(move || answer(&stream, &received));
            }
        });
        Ok(upstream)
    }

    /// The requests that arrived since the last call.
    pub fn take(&self) -> Vec<Head> {
        std::mem::take(&mut *self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer(mut stream: &TcpStream, received: &Mutex<Vec<Head>>) -> io::Result<()> {
    let head = Head::read(&mut BufReader::new(stream))?;
    let body = format!(
        "{:#}\n",
        json!({"request": head.line, "headers": head.headers})
    );
    received
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.shutdown(Shutdown::Write)?;
    // Reads a request body to its end: closing earlier could reset the connection before Envoy has the response.
    io::copy(&mut stream, &mut io::sink())?;
    Ok(())
}

impl Head {
    fn read(stream: &mut impl BufRead) -> io::Result<Self> {
        let mut lines = stream.lines();
        let mut next = || {
            lines
                .next()
                .unwrap_or(Err(io::ErrorKind::UnexpectedEof.into()))
        };
        let line = next()?;
        let mut headers = Vec::new();
        while let Some((name, value)) = next()?.split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Self { line, headers })
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}
