//! A provider of Envoy's `jwt_authn`.

use std::rc::Rc;

use super::fields::Fields;
use super::istio::duration_ms;
use super::listed::Report;
use super::providers::{Keys, Provider};
use crate::json::Json;

/// Reads a provider. Lists what the filter has nothing like.
pub(super) fn read_provider(
    place: &Rc<str>,
    name: &str,
    fields: Fields<'_>,
    report: &mut Report,
) -> Provider {
    let mut is_refused = false;
    for name in fields.names() {
        match name.as_str() {
            "issuer"
            | "audiences"
            | "local_jwks"
            | "remote_jwks"
            | "forward"
            | "from_headers"
            | "clock_skew_seconds"
            | "claim_to_headers"
            | "payload_in_metadata"
            | "max_lifetime" => {}
            // The filter requires `exp` always; the others change no decision here.
            "require_expiration"
            | "jwt_cache_config"
            | "header_in_metadata"
            | "failed_status_in_metadata"
            | "clear_route_cache"
            | "pad_forward_payload_header" => {}
            "from_params" | "from_cookies" => report.list(
                place,
                &name,
                "tokens are read from a header only; those in a parameter or cookie go on as they are, valid or not",
            ),
            "forward_payload_header" => report.list(
                place,
                &name,
                "the filter does not forward the payload; identity.headers can forward claims",
            ),
            "normalize_payload_in_metadata" => {}
            other => {
                report.list(
                    place,
                    other,
                    "the filter has nothing like it; tokens of this provider are refused",
                );
                is_refused = true;
            }
        }
    }
    let mut headers: Vec<(String, String)> = fields
        .list("from_headers")
        .iter()
        .map(|header| {
            let header = Fields::of(Some(header));
            let name = header.text("name").unwrap_or_default().to_ascii_lowercase();
            (
                name,
                header.text("value_prefix").unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let elsewhere = fields.get("from_params").is_some() || fields.get("from_cookies").is_some();
    if headers.is_empty() && !elsewhere {
        headers.push(("authorization".to_owned(), "Bearer ".to_owned()));
        report.note("Tokens in the query parameter access_token, which jwt_authn reads by default, are neither read nor removed: they go on as they are, valid or not.");
    }
    let claims_to_headers = fields.list("claim_to_headers").iter().map(|entry| {
        let entry = Fields::of(Some(entry));
        let claim = entry.text("claim_name").unwrap_or_default();
        (
            entry.text("header_name").unwrap_or_default().to_owned(),
            claim.split('.').map(str::to_owned).collect(),
        )
    });
    let skew = fields.get("clock_skew_seconds").and_then(Json::as_integer);
    let skew = skew
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0);
    Provider {
        place: Rc::clone(place),
        name: name.to_owned(),
        issuer: fields
            .text("issuer")
            .filter(|_| !is_refused)
            .map(str::to_owned),
        audiences: fields.texts("audiences"),
        keys: keys(fields),
        headers,
        forward: fields.flag("forward"),
        leeway: skew.unwrap_or(60),
        claims_to_headers: claims_to_headers.collect(),
        payload_key: fields
            .text("payload_in_metadata")
            .unwrap_or_default()
            .to_owned(),
        spaces: fields
            .object("normalize_payload_in_metadata")
            .texts("space_delimited_claims"),
        max_lifetime: fields
            .text("max_lifetime")
            .and_then(duration_ms)
            .map(|time| time.div_euclid(1_000)),
    }
}

fn keys(fields: Fields<'_>) -> Keys {
    if fields.get("local_jwks").is_some() {
        let source = fields.object("local_jwks");
        return match (source.text("inline_string"), source.get("inline_bytes")) {
            (Some(text), _) => Keys::Inline(text.to_owned()),
            (None, Some(_)) => {
                Keys::Missing("keys in inline_bytes are not read; use inline_string".to_owned())
            }
            (None, None) => Keys::Missing(
                "keys in a file or variable are not read; use inline_string".to_owned(),
            ),
        };
    }
    let remote = fields.object("remote_jwks");
    let uri = remote.object("http_uri");
    match (uri.text("uri"), uri.text("cluster")) {
        (Some(url), Some(cluster)) => Keys::Remote {
            url: url.to_owned(),
            cluster: cluster.to_owned(),
            timeout: uri.text("timeout").and_then(duration_ms),
            refresh: remote
                .text("cache_duration")
                .and_then(duration_ms)
                .map(|time| time.div_euclid(1_000)),
        },
        _ => Keys::Missing("it names no keys".to_owned()),
    }
}
