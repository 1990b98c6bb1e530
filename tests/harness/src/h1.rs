//! HTTP/1.1 messages read and written byte by byte (RFC 9112), without a parser that would correct
//! or refuse what a test sends or what an upstream must see.

use std::io::{self, BufRead, Read};

/// A header field as it stood on the wire: name, value.
pub(crate) type Field = (Vec<u8>, Vec<u8>);

/// The values of a header, each of its instances on its own.
pub(crate) fn values(fields: &[Field], name: &str) -> Vec<String> {
    fields
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| crate::printable(value))
        .collect()
}

/// The value of a header that occurs at most once; `whose` names its message where it does not.
pub(crate) fn only_value(whose: &str, fields: &[Field], name: &str) -> Option<String> {
    let mut values = values(fields, name);
    let count = values.len();
    assert!(count <= 1, "{whose} has {name} {count} times: {values:?}");
    values.pop()
}

/// The start line and the header fields of a message.
pub(crate) struct Head {
    /// The request or status line, without its line end.
    pub(crate) line: Vec<u8>,
    /// The fields in their order, repeated ones as often as they stand.
    pub(crate) fields: Vec<Field>,
}

impl Head {
    /// Reads a message up to its empty line; `None` where the peer closed before it began.
    pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(line) = read_line(stream)? else {
            return Ok(None);
        };
        let fields = read_fields(stream)?;
        Ok(Some(Self { line, fields }))
    }

    /// The first value of a field, as text.
    fn field(&self, name: &str) -> Option<String> {
        let (_, value) = self
            .fields
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// Reads the body that the fields announce. `to_the_end`: where they announce none, it lasts
    /// until the peer closes (RFC 9112 §6.3), as that of a response does.
    pub(crate) fn read_body(
        &self,
        stream: &mut impl BufRead,
        to_the_end: bool,
    ) -> io::Result<Vec<u8>> {
        Ok(self.read_body_and_trailers(stream, to_the_end)?.0)
    }

    /// As [`Head::read_body`], with the trailers of a chunked body (RFC 9112 §7.1.2).
    pub(crate) fn read_body_and_trailers(
        &self,
        stream: &mut impl BufRead,
        to_the_end: bool,
    ) -> io::Result<(Vec<u8>, Vec<Field>)> {
        let mut body = Vec::new();
        let mut trailers = Vec::new();
        if self
            .field("transfer-encoding")
            .is_some_and(|value| value.contains("chunked"))
        {
            loop {
                let size = read_line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
                let size = String::from_utf8_lossy(&size);
                let size = size.split(';').next().unwrap_or_default().trim();
                let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
                if size == 0 {
                    break;
                }
                stream.by_ref().take(size).read_to_end(&mut body)?;
                read_line(stream)?;
            }
            trailers = read_fields(stream)?;
        } else if let Some(length) = self.field("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            stream.by_ref().take(length).read_to_end(&mut body)?;
        } else if to_the_end {
            stream.read_to_end(&mut body)?;
        }
        Ok((body, trailers))
    }
}

/// The fields up to the empty line, repeated ones as often as they are there.
fn read_fields(stream: &mut impl BufRead) -> io::Result<Vec<Field>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        fields.push((
            name.to_vec(),
            value.get(1..).unwrap_or_default().trim_ascii().to_vec(),
        ));
    }
}

/// A body in one chunk, with trailers (RFC 9112 §7.1).
pub(crate) fn chunked(body: &[u8], trailers: &[Field]) -> Vec<u8> {
    let mut message = Vec::new();
    if !body.is_empty() {
        message.extend(format!("{:x}\r\n", body.len()).into_bytes());
        message.extend_from_slice(body);
        message.extend_from_slice(b"\r\n");
    }
    // The last chunk, then the trailers as if they were a head.
    message.extend(write(b"0", trailers, &[]));
    message
}

/// A message from its start line, fields and body; nothing is added.
pub(crate) fn write(line: &[u8], fields: &[Field], body: &[u8]) -> Vec<u8> {
    let mut message = line.to_vec();
    message.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        message.extend_from_slice(name);
        message.extend_from_slice(b": ");
        message.extend_from_slice(value);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(body);
    message
}

/// A line without its end; `None` at the end of the stream.
fn read_line(stream: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while line
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        line.pop();
    }
    Ok(Some(line))
}
