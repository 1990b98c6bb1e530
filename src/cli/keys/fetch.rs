//! Fetches a key set as the filter does: one GET, status 200, no redirects, at most 64 KiB.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::cli::CommandError;
use crate::cli::text::printable;
use crate::token::jwks::MAX_BYTES;

/// The time for everything, from the name's resolution to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the text is a URL and not the name of a file.
pub(in crate::cli) fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// The body at a URL; one byte more than the filter reads if it is longer.
///
/// # Errors
/// [`CommandError::Usage`] for another scheme, user information or a fragment; [`CommandError::Content`]
/// without a response of status 200.
pub(in crate::cli) fn get(url: &str) -> Result<Vec<u8>, CommandError> {
    let name = printable(url);
    let authority = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .and_then(|rest| rest.split(['/', '?']).next());
    if authority.is_none_or(|authority| authority.contains('@')) || url.contains('#') {
        return Err(CommandError::Usage(
            "the URL must be http:// or https://, without user information and fragment".to_owned(),
        ));
    }
    let failed = |problem: String| CommandError::Content {
        name: name.clone(),
        problem,
    };
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent("edge-claims")
        .tls_config(TlsConfig::builder().build())
        .build()
        .into();
    let mut response = agent
        .get(url)
        .call()
        .map_err(|error| failed(format!("no response: {}", printable(&error.to_string()))))?;
    let status = response.status().as_u16();
    if status != 200 {
        let hint = if (300..400).contains(&status) {
            "; the filter follows no redirects: use the final URL"
        } else {
            "; the filter takes only 200"
        };
        return Err(failed(format!("status {status}{hint}")));
    }
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let body = response.body_mut().with_config();
    body.limit(limit)
        .read_to_vec()
        .map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => failed(format!(
                "more than {MAX_BYTES} bytes: the filter reads no more"
            )),
            other => failed(format!("no response: {}", printable(&other.to_string()))),
        })
}
