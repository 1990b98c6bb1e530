//! Request smuggling (RFC 9112 §11.2): each request that reaches a pool is one that HAProxy saw as a request.

use std::collections::BTreeSet;

use crate::chain::*;

/// What would be smuggled.
const HIDDEN: &str = "GET /public/hidden HTTP/1.1\r\nhost: shop.example.com\r\n\r\n";

/// Requests whose end two programs could find in different places: header lines, and the body.
fn attempts() -> Vec<Vec<u8>> {
    let hidden = HIDDEN.len();
    let chunk = format!("{hidden:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let ended = format!("0\r\n\r\n{HIDDEN}");
    let whole = ended.len();
    let mut attempts = Vec::new();
    // Two lengths: Content-Length and Transfer-Encoding, in each form that some program overlooks.
    for coding in [
        "transfer-encoding: chunked",
        "transfer-encoding : chunked",
        "transfer-encoding:\tchunked",
        "transfer-encoding:\x0bchunked",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: identity, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked",
        "transfer-encoding: \"chunked\"",
        "transfer-encoding: chunked;q=1",
        "transfer-encoding:\r\n chunked",
        "transfer_encoding: chunked",
        "x: y\ntransfer-encoding: chunked",
        "x: y\rtransfer-encoding: chunked",
        " transfer-encoding: chunked",
        "transfer-encoding: CHUNKED",
        "\0transfer-encoding: chunked",
    ] {
        for (length, body) in [
            (format!("content-length: {whole}\r\n"), &ended),
            ("content-length: 4\r\n".to_owned(), &chunk),
            (String::new(), &ended),
        ] {
            for lines in [
                format!("{length}{coding}\r\n"),
                format!("{coding}\r\n{length}"),
            ] {
                attempts.push(post(&lines, body));
            }
        }
    }
    // Content-Length in forms that are no number, or several.
    for length in [
        "content-length: 0\r\ncontent-length: 5\r\n",
        "content-length: 5\r\ncontent-length: 0\r\n",
        "content-length: 0, 5\r\n",
        "content-length: +0\r\n",
        "content-length: -1\r\n",
        "content-length: 0x0\r\n",
        "content-length:\r\n",
        "content-length: \r\ncontent-length: 5\r\n",
        "content-length : 0\r\n",
        "content-length: 0 5\r\n",
        "content_length: 0\r\n",
        "content-length: 99999999999999999999\r\n",
    ] {
        attempts.push(post(length, HIDDEN));
    }
    // Chunks whose size or end is malformed.
    for body in [
        format!("0x0\r\n\r\n{HIDDEN}"),
        format!("+0\r\n\r\n{HIDDEN}"),
        format!("0;x\n\r\n{HIDDEN}"),
        format!("0\n\n{HIDDEN}"),
        format!("1\r\nab\r\n0\r\n\r\n{HIDDEN}"),
        format!("ffffffffffffffff0\r\n\r\n{HIDDEN}"),
        format!("0\r\nx: y\r\n{HIDDEN}"),
    ] {
        attempts.push(post("transfer-encoding: chunked\r\n", &body));
    }
    // A switch of the protocol, old versions, and a body where none is expected.
    for (line, headers) in [
        (
            "GET /public/open HTTP/1.1",
            "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        ),
        (
            "GET /public/open HTTP/1.1",
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 99\r\n",
        ),
        (
            "GET /public/open HTTP/1.0",
            "connection: keep-alive\r\ntransfer-encoding: chunked\r\n",
        ),
        ("GET /public/open HTTP/0.9", ""),
        ("GET /public/open", ""),
        ("HEAD /public/open HTTP/1.1", "content-length: 5\r\n"),
        (
            "GET /public/open HTTP/1.1",
            "expect: 100-continue\r\ncontent-length: 5\r\n",
        ),
        ("GET /public/open HTTP/1.1\r\nx:", ""),
        (
            "GET /public/hidden HTTP/1.1\r\nhost: shop.example.com\r\nGET /public/open HTTP/1.1",
            "",
        ),
        ("GET /public/open HTTP/1.1 GET /public/hidden HTTP/1.1", ""),
    ] {
        attempts.push(
            format!("{line}\r\nhost: shop.example.com\r\n{headers}\r\n{HIDDEN}").into_bytes(),
        );
    }
    attempts
}

fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /public/open HTTP/1.1\r\nhost: shop.example.com\r\n{lines}\r\n{body}")
        .into_bytes()
}

#[test]
fn a_pool_gets_no_request_that_haproxy_did_not_see() {
    // HTTP/2 to Envoy, as the example has it, and HTTP/1.1.
    let changes: [&[(&str, &str)]; 2] = [&[], &[("alpn h2,http/1.1 ws h1", "alpn http/1.1")]];
    for front_changes in changes {
        let chain = Chain::with(&Options {
            front_changes,
            ..Options::default()
        });
        let edge = chain.edge();
        let mut known = BTreeSet::new();
        for attempt in attempts() {
            let shown = String::from_utf8_lossy(&attempt).into_owned();
            let _ = edge.raw(&attempt);
            // The next request of somebody else gets its own answer.
            let response = edge.get("/public/next").send();
            assert_eq!(response.status, 200, "{shown:?}: {response:?}");
            assert_eq!(response.json()["path"], "/public/next", "{shown:?}");
            let mut seen = chain.readers.take();
            seen.extend(chain.editors.take());
            for request in seen {
                let id = request.header("x-haproxy-id").unwrap_or_default();
                let record = chain.front.wait_for(|record| record["haproxy_id"] == *id);
                assert_eq!(record["path"], request.path(), "{shown:?}");
                assert_eq!(
                    record["method"].as_str().map(str::as_bytes),
                    Some(&*request.method),
                    "{shown:?}"
                );
                assert!(
                    known.insert(id),
                    "{shown:?}: two requests for one of HAProxy's"
                );
            }
        }
        assert!(known.len() > attempts().len(), "{}", known.len());
    }
}
