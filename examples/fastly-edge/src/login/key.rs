//! The key of the logins: what the edge gives a browser and gets back, nobody else can make or change.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder as _, Encoder as _};
use hmac_sha256::{HKDF, HMAC};

/// The longest sealed text that is looked at, in bytes; the edge's own are shorter.
const MAX_SEALED_LENGTH: usize = 512;

/// Derived from the secret `login_key` for one provider, client and redirect URI, so that a state of
/// one service is none of another that shares the secret.
pub struct LoginKey([u8; 32]);

impl LoginKey {
    /// Derives the key. `secret` has at least 32 bytes, which [`crate::edge::Edge::load`] checks.
    #[must_use]
    pub fn new(secret: &[u8], issuer: &str, client_id: &str, redirect_uri: &str) -> Self {
        let mut context = Vec::new();
        for part in [issuer, client_id, redirect_uri] {
            push(&mut context, part.as_bytes());
        }
        Self(HKDF::extract(context, secret))
    }

    /// The keyed hash of some parts for one purpose; what is made for one is nothing for another.
    pub(super) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.hasher(purpose, parts).finalize()
    }

    /// [`Self::mac`] as base64url: 43 characters.
    pub(super) fn derive(&self, purpose: &str, parts: &[&[u8]]) -> String {
        base64url(&self.mac(purpose, parts))
    }

    /// The payload with its keyed hash, as base64url. It is readable to whoever has it.
    pub(super) fn seal(&self, purpose: &str, bound_to: &[&[u8]], payload: &[u8]) -> String {
        let parts: Vec<&[u8]> = bound_to.iter().copied().chain([payload]).collect();
        let mut sealed = self.mac(purpose, &parts).to_vec();
        sealed.extend(payload);
        base64url(&sealed)
    }

    /// The payload, if this key sealed it for this purpose and bound it to the same.
    pub(super) fn open(&self, purpose: &str, bound_to: &[&[u8]], sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > MAX_SEALED_LENGTH {
            return None;
        }
        let sealed = Base64UrlSafeNoPadding::decode_to_vec(sealed, None).ok()?;
        let (mac, payload) = sealed.split_first_chunk::<32>()?;
        let parts: Vec<&[u8]> = bound_to.iter().copied().chain([payload]).collect();
        // In constant time.
        let genuine = self.hasher(purpose, &parts).finalize_verify(mac);
        genuine.then(|| payload.to_vec())
    }

    fn hasher(&self, purpose: &str, parts: &[&[u8]]) -> HMAC {
        let mut input = Vec::new();
        for part in [purpose.as_bytes()].iter().chain(parts) {
            push(&mut input, part);
        }
        let mut hasher = HMAC::new(self.0);
        hasher.update(input);
        hasher
    }
}

/// Appends a part with its length, so that no two lists of parts have the same bytes.
fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_be_bytes());
    bytes.extend(part);
}

/// base64url without padding (RFC 4648 §5).
pub(super) fn base64url(bytes: &[u8]) -> String {
    // It fails only where the length overflows.
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &[u8]) -> LoginKey {
        LoginKey::new(
            secret,
            "https://login.example.com",
            "shop",
            "https://shop.example.com/cb",
        )
    }

    #[test]
    fn only_the_same_key_purpose_and_binding_open() {
        let sealed = key(&[1; 32]).seal("state", &[b"a", b"b"], b"payload");
        let open =
            |key: LoginKey, purpose: &str, bound_to: &[&[u8]]| key.open(purpose, bound_to, &sealed);
        assert_eq!(
            open(key(&[1; 32]), "state", &[b"a", b"b"]).as_deref(),
            Some(&b"payload"[..])
        );
        assert_eq!(open(key(&[2; 32]), "state", &[b"a", b"b"]), None);
        assert_eq!(open(key(&[1; 32]), "visit", &[b"a", b"b"]), None);
        assert_eq!(open(key(&[1; 32]), "state", &[b"ab", b""]), None);
        let other = LoginKey::new(
            &[1; 32],
            "https://login.example.com",
            "admin",
            "https://shop.example.com/cb",
        );
        assert_eq!(open(other, "state", &[b"a", b"b"]), None);
    }

    #[test]
    fn no_changed_byte_opens() {
        let key = key(&[1; 32]);
        let sealed = key.seal("state", &[], b"payload");
        for place in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key.open("state", &[], &changed), None, "{place}");
        }
        for hostile in ["", "=", "AAAA", "é", &"A".repeat(5000)] {
            assert_eq!(key.open("state", &[], hostile), None);
        }
    }
}
