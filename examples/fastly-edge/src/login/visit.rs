//! The visit: what tells the first request of a session from all others, so that it has the correlation ID of
//! the login.
//!
//! When a login ends, the browser gets a cookie with the ID, sealed and bound to the new session and to the page
//! that the browser goes on to. It is good for one minute, for that page, with that session, and it is taken away
//! by the answer. So no other tab, user or later request shares the ID, and no client can choose it.

use hmac_sha256::Hash;

use super::key::LoginKey;
use super::{VISIT_PREFIX, set_cookie};
use crate::cookie::{self, Found};

/// How long the browser has for the first request, in seconds.
const LIFE_SECONDS: u64 = 60;

/// `Set-Cookie` of the visit.
pub(super) fn begin(
    key: &LoginKey,
    correlation_id: &str,
    session: &str,
    return_path: &str,
    now: u64,
) -> String {
    let mut payload = now.to_be_bytes().to_vec();
    payload.extend(correlation_id.as_bytes());
    let value = key.seal("visit", &bound(session, return_path), &payload);
    set_cookie(&cookie_name(return_path), &value, LIFE_SECONDS)
}

/// The correlation ID of the login and the cookie that had it, if this request is the first after one.
pub fn first_request<'a>(
    key: &LoginKey,
    cookies: impl Iterator<Item = &'a [u8]>,
    session: &str,
    path_and_query: &str,
    now: u64,
) -> Option<(String, String)> {
    let name = cookie_name(path_and_query);
    let Found::One(value) = cookie::find(cookies, &name) else {
        return None;
    };
    let payload = key.open("visit", &bound(session, path_and_query), value)?;
    let (began, id) = payload.split_first_chunk()?;
    // The clocks of two points of presence differ in either direction.
    let age = now.abs_diff(u64::from_be_bytes(*began));
    let id = String::from_utf8(id.to_vec()).ok()?;
    (age <= LIFE_SECONDS).then_some((id, name))
}

fn bound<'a>(session: &'a str, return_path: &'a str) -> [&'a [u8]; 2] {
    [session.as_bytes(), return_path.as_bytes()]
}

/// One for each page, so that logins that end at the same time in two tabs do not take each other's.
fn cookie_name(return_path: &str) -> String {
    let hash = Hash::hash(return_path.as_bytes());
    let tag: String = hash
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{VISIT_PREFIX}{tag}")
}
