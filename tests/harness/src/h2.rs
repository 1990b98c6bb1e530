//! HTTP/2 frames (RFC 9113) over any stream, for either end. Pseudo-headers are fields like all
//! others, so that a test can send what a client library would refuse.
//!
//! There is no flow control for what is sent, because it fits into Envoy's windows. What is received is
//! acknowledged at once.

use std::io::{self, Read, Write};

use loona_hpack::{Decoder, Encoder};

use crate::h1::Field;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The largest frame that every peer accepts (RFC 9113 §4.2).
const MAX_FRAME: usize = 16_384;

/// What the peer did that concerns a stream.
pub(crate) enum Event {
    Headers {
        stream: u32,
        fields: Vec<Field>,
        end: bool,
    },
    Data {
        stream: u32,
        bytes: Vec<u8>,
        end: bool,
    },
    Reset {
        stream: u32,
        code: u32,
    },
    GoAway {
        code: u32,
    },
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

pub(crate) struct Connection<S> {
    stream: S,
    encoder: Encoder<'static>,
    decoder: Decoder<'static>,
}

impl<S: Read + Write> Connection<S> {
    /// The client's end: sends the preface, prior knowledge taken for granted.
    pub(crate) fn client(mut stream: S) -> io::Result<Self> {
        stream.write_all(PREFACE)?;
        Self::open(stream)
    }

    /// The server's end: reads the preface.
    pub(crate) fn server(mut stream: S) -> io::Result<Self> {
        let mut preface = [0; PREFACE.len()];
        stream.read_exact(&mut preface)?;
        if preface != PREFACE {
            return Err(io::Error::other("no HTTP/2 preface"));
        }
        Self::open(stream)
    }

    /// Whether these first bytes of a connection announce HTTP/2.
    pub(crate) fn announces(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PRI ")
    }

    fn open(stream: S) -> io::Result<Self> {
        let mut connection = Self {
            stream,
            encoder: Encoder::new(),
            decoder: Decoder::new(),
        };
        // Extended CONNECT is welcome (RFC 8441 §3), pushes are not.
        let mut settings = setting(0x8, 1);
        settings.extend(setting(0x4, 1 << 24));
        connection.write_frame(SETTINGS, 0, 0, &settings)?;
        connection.write_frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 24).to_be_bytes())?;
        Ok(connection)
    }

    pub(crate) fn send_headers(
        &mut self,
        stream: u32,
        fields: &[Field],
        end: bool,
    ) -> io::Result<()> {
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()));
        let block = self.encoder.encode(fields);
        let mut kind = HEADERS;
        let mut flags = if end { END_STREAM } else { 0 };
        let mut rest = block.as_slice();
        loop {
            let (part, after) = rest.split_at(rest.len().min(MAX_FRAME));
            rest = after;
            if rest.is_empty() {
                flags |= END_HEADERS;
            }
            self.write_frame(kind, flags, stream, part)?;
            if rest.is_empty() {
                return Ok(());
            }
            (kind, flags) = (CONTINUATION, 0);
        }
    }

    pub(crate) fn send_data(&mut self, stream: u32, bytes: &[u8], end: bool) -> io::Result<()> {
        let mut rest = bytes;
        loop {
            let (part, after) = rest.split_at(rest.len().min(MAX_FRAME));
            rest = after;
            let flags = if end && rest.is_empty() {
                END_STREAM
            } else {
                0
            };
            self.write_frame(DATA, flags, stream, part)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Ends a stream early (RFC 9113 §6.4), as a client does that gives up.
    pub(crate) fn send_reset(&mut self, stream: u32) -> io::Result<()> {
        const CANCEL: u32 = 0x8;
        self.write_frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
    }

    /// The next event; settings and pings are answered on the way. `None` at the connection's end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            let Some(Frame {
                kind,
                flags,
                stream,
                payload,
            }) = self.read_frame()?
            else {
                return Ok(None);
            };
            let end = flags & END_STREAM != 0;
            match kind {
                HEADERS => {
                    let mut block = unpadded(&payload, flags)?.to_vec();
                    if flags & PRIORITY != 0 {
                        block.drain(..5.min(block.len()));
                    }
                    let mut last = flags;
                    while last & END_HEADERS == 0 {
                        let next = self.read_frame()?.ok_or(io::ErrorKind::UnexpectedEof)?;
                        last = next.flags;
                        block.extend(next.payload);
                    }
                    let fields = self.decoder.decode(&block);
                    let fields = fields.map_err(|error| io::Error::other(format!("{error:?}")))?;
                    return Ok(Some(Event::Headers {
                        stream,
                        fields,
                        end,
                    }));
                }
                DATA => {
                    let size = u32::try_from(payload.len()).unwrap_or(0);
                    if size > 0 {
                        self.write_frame(WINDOW_UPDATE, 0, 0, &size.to_be_bytes())?;
                        if !end {
                            self.write_frame(WINDOW_UPDATE, 0, stream, &size.to_be_bytes())?;
                        }
                    }
                    let bytes = unpadded(&payload, flags)?.to_vec();
                    return Ok(Some(Event::Data { stream, bytes, end }));
                }
                RST_STREAM => {
                    return Ok(Some(Event::Reset {
                        stream,
                        code: number(&payload, 0),
                    }));
                }
                GOAWAY => {
                    return Ok(Some(Event::GoAway {
                        code: number(&payload, 4),
                    }));
                }
                SETTINGS if flags & ACK == 0 => self.write_frame(SETTINGS, ACK, 0, &[])?,
                PING if flags & ACK == 0 => self.write_frame(PING, ACK, 0, &payload)?,
                _ => {}
            }
        }
    }

    fn write_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame)?;
        self.stream.flush()
    }

    /// `None` where the peer has closed between two frames.
    fn read_frame(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 9];
        match self.stream.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let [l0, l1, l2, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, l0, l1, l2]) as usize];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        Ok(Some(Frame {
            kind,
            flags,
            stream,
            payload,
        }))
    }
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    [id.to_be_bytes().as_slice(), value.to_be_bytes().as_slice()].concat()
}

fn number(payload: &[u8], at: usize) -> u32 {
    payload
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

/// The payload without its padding (RFC 9113 §6.1).
fn unpadded(payload: &[u8], flags: u8) -> io::Result<&[u8]> {
    if flags & PADDED == 0 {
        return Ok(payload);
    }
    let (length, rest) = payload.split_first().ok_or(io::ErrorKind::InvalidData)?;
    let end = rest
        .len()
        .checked_sub(usize::from(*length))
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(&rest[..end])
}
