//! Which correlation ID a request has: one of the edge's own, unless the settings trust the client's.

use serde::Serialize;

/// The most characters that an ID may have.
pub const MAX_LENGTH: usize = 128;

/// Where the ID comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Made here.
    Generated,
    /// Sent by the client, well-formed, and `correlation.trust_client` is on.
    Client,
    /// That of the login that this request ends, or is the first after.
    Login,
}

/// The ID of a request, and what the client had sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// The ID: in the token, in the header to the mesh, in every answer, in the log.
    pub id: String,
    /// Where it comes from.
    pub source: Source,
    /// The client's own ID, well-formed, where it is not the one in use: for the log only.
    pub client_id: Option<String>,
    /// The client sent something that is no ID, or more than one; it is never logged.
    pub client_malformed: bool,
}

impl Correlation {
    /// Picks the ID. `sent`: every value of the client's correlation header, in its exact spelling;
    /// `fresh`: an ID made for this request.
    ///
    /// A client that chooses the ID can make two requests share one, and so hide one behind the
    /// other in the logs. So by default its ID is only noted.
    #[must_use]
    pub fn pick<'a>(
        sent: impl Iterator<Item = &'a [u8]>,
        trust_client: bool,
        fresh: String,
    ) -> Self {
        let mut sent = sent;
        let first = sent.next();
        let client = first
            .filter(|_| sent.next().is_none())
            .and_then(well_formed);
        let client_malformed = first.is_some() && client.is_none();
        match client {
            Some(id) if trust_client => Self {
                id: id.to_owned(),
                source: Source::Client,
                client_id: None,
                client_malformed,
            },
            _ => Self {
                id: fresh,
                source: Source::Generated,
                client_id: client.map(str::to_owned),
                client_malformed,
            },
        }
    }
}

impl Correlation {
    /// The same with the ID of a login, which counts more than what the client sends now.
    #[must_use]
    pub fn of_login(self, id: String) -> Self {
        let client_id = match self.source {
            Source::Client => Some(self.id),
            Source::Generated | Source::Login => self.client_id,
        };
        Self {
            id,
            source: Source::Login,
            client_id,
            client_malformed: self.client_malformed,
        }
    }
}

/// The ID, if it is 1 to 128 characters of `A-Za-z0-9._:-`.
#[must_use]
pub fn well_formed(value: &[u8]) -> Option<&str> {
    let fits = (1..=MAX_LENGTH).contains(&value.len())
        && value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(byte));
    std::str::from_utf8(value).ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(sent: &[&[u8]], trust_client: bool) -> Correlation {
        Correlation::pick(sent.iter().copied(), trust_client, "fresh".to_owned())
    }

    #[test]
    fn a_clients_id_is_only_noted_by_default() {
        let picked = pick(&[b"client-1"], false);
        assert_eq!(picked.id, "fresh");
        assert_eq!(picked.source, Source::Generated);
        assert_eq!(picked.client_id.as_deref(), Some("client-1"));
        assert!(!picked.client_malformed);
    }

    #[test]
    fn a_trusted_clients_id_is_used() {
        let picked = pick(&[b"client-1"], true);
        assert_eq!(picked.id, "client-1");
        assert_eq!(picked.source, Source::Client);
        assert_eq!(picked.client_id, None);
    }

    #[test]
    fn hostile_ids_are_neither_used_nor_noted() {
        let long = [b'a'; MAX_LENGTH + 1];
        let hostile: [&[&[u8]]; 9] = [
            &[b""],
            &[b"a b"],
            &[b"a\nb"],
            &[b"\"}"],
            &[b"\x1b[31m"],
            &[b"\xff"],
            &["é".as_bytes()],
            &[&long],
            &[b"a", b"a"],
        ];
        for sent in hostile {
            let picked = pick(sent, true);
            assert_eq!(picked.id, "fresh", "{sent:?}");
            assert_eq!(picked.client_id, None, "{sent:?}");
            assert!(picked.client_malformed, "{sent:?}");
        }
    }

    #[test]
    fn none_sent_is_not_malformed() {
        assert!(!pick(&[], false).client_malformed);
        assert_eq!(pick(&[&[b'a'; MAX_LENGTH]], true).id.len(), MAX_LENGTH);
    }
}
