//! Which of the client's headers never reach the mesh.

/// The client's address, for the next hop. The edge sets it; from a client, it would be anybody's.
pub const CLIENT_ADDRESS: &str = "x-client-address";

/// Headers by which a backend would see another request than the one that was decided on.
const OVERRIDES: [&str; 5] = [
    "x-http-method-override",
    "x-method-override",
    "x-http-method",
    "x-original-url",
    "x-rewrite-url",
];

/// Whether a client may not send this header: identity (`x-auth-*`), the edge claims, the
/// correlation ID, the client's address, and the overrides. `_` and `-` and case are alike, because they are to the many
/// backends that turn headers into environment variables (RFC 3875 §4.1.18).
#[must_use]
pub fn is_reserved(name: &str, claims_header: &str, correlation_header: &str) -> bool {
    let name = canonical(name);
    name.starts_with("x-auth-")
        || name == canonical(claims_header)
        || name == canonical(correlation_header)
        || name == CLIENT_ADDRESS
        || OVERRIDES.contains(&name.as_str())
}

fn canonical(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_reserved_header_is_reserved() {
        for name in [
            "x-auth-subject",
            "X-Client-Address",
            "x_client_address",
            "X-Auth-Roles",
            "x_auth_subject",
            "x-auth_subject",
            "X_Edge-Claims",
            "x_correlation_id",
            "X_HTTP_Method_Override",
        ] {
            assert!(
                is_reserved(name, "x-edge-claims", "x-correlation-id"),
                "{name}"
            );
        }
    }

    #[test]
    fn other_headers_pass() {
        for name in [
            "accept",
            "x-authority",
            "traceparent",
            "x-request-id",
            "authorization",
        ] {
            assert!(
                !is_reserved(name, "x-edge-claims", "x-correlation-id"),
                "{name}"
            );
        }
    }
}
