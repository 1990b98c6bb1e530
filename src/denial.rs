//! Why a request is denied: one stable code for the response, the log, the metrics and the docs.

/// Why one request is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The deny reason.
    pub reason: Reason,
    /// The check that failed, in words. For the log only, never for the client.
    pub explanation: Option<String>,
    /// What the user must do; set only if the reason is [`Reason::StepUp`].
    pub step_up: Option<StepUp>,
}

/// The parameters of a step-up challenge (RFC 9470 §3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepUp {
    /// `acr_values`, any of which is sufficient; visible ASCII without quotes and backslashes.
    pub acr_values: Vec<String>,
    /// `max_age`: the maximum age of the last active authentication, in seconds.
    pub max_age: Option<u64>,
}

/// A deny reason. Its code is public API: the meaning of a code never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// The request has no token.
    ClaimsMissing,
    /// The token's header is repeated.
    ClaimsRepeated,
    /// The token is longer than `claims.max_bytes`.
    ClaimsTooLarge,
    /// The token is not a compact JWS with JSON objects as header and payload, or a member is not
    /// accepted.
    ClaimsMalformed,
    /// The token's `alg` is not allowed for its issuer, or does not fit its key.
    AlgorithmRefused,
    /// The token's `iss` is not a configured issuer.
    IssuerUnknown,
    /// No key of the issuer fits the token's `kid`, or the token has no `kid` and several keys fit.
    KeyUnknown,
    /// The signature does not verify.
    SignatureInvalid,
    /// `exp` has passed, leeway included.
    Expired,
    /// `nbf` or `iat` is in the future, beyond the leeway.
    NotYetValid,
    /// The token is older than `max_age`, or its lifetime is longer than `max_lifetime`.
    TooOld,
    /// None of the issuer's `audiences` is in `aud`.
    Audience,
    /// `typ` is not the issuer's `type`.
    Type,
    /// A claim that the issuer's `require` names is absent.
    ClaimRequired,
    /// A claim that the issuer's `bind` names does not match the request.
    BindingRequest,
    /// A one-use token was used before.
    Replayed,
    /// The key, the subject or the token is on the issuer's revocation list.
    Revoked,
    /// The issuer's keys are currently unavailable.
    KeysUnavailable,
    /// The CPU budget for rejected tokens is used up; the token was not verified.
    Overloaded,
    /// The host, the path or the method is not valid, or the method is CONNECT.
    RequestMalformed,
    /// Backends could interpret the path in different ways.
    PathAmbiguous,
    /// No route matches.
    RouteUnknown,
    /// The subject lacks the role.
    Role,
    /// The token lacks the scope.
    Scope,
    /// The token's audience is not the route's.
    AudienceRoute,
    /// The token is not from an issuer that the route accepts.
    IssuerRoute,
    /// A path variable does not equal the claim it is bound to.
    BindingRoute,
    /// A condition of the route does not hold.
    Condition,
    /// The mTLS peer is not one that the route accepts.
    Peer,
    /// The user must authenticate again, or more strongly (RFC 9470).
    StepUp,
    /// The request has a header that only this filter may set.
    SpoofedHeader,
    /// The filter could not decide.
    Internal,
}

/// The parameters of `WWW-Authenticate` besides the realm (RFC 6750 §3, RFC 9470 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// No challenge: the status is not about authentication.
    None,
    /// Scheme and realm only, for a request without a token.
    Bare,
    /// `error="invalid_token"`
    InvalidToken,
    /// `error="insufficient_scope"`
    InsufficientScope,
    /// `error="insufficient_user_authentication"`
    InsufficientUserAuthentication,
}

impl Denial {
    /// A denial with an explanation for the log.
    #[cold]
    pub(crate) fn explained(reason: Reason, explanation: impl ToString) -> Box<Self> {
        Box::new(Self {
            reason,
            explanation: Some(explanation.to_string()),
            step_up: None,
        })
    }
}

impl From<Reason> for Box<Denial> {
    fn from(reason: Reason) -> Self {
        Self::new(Denial {
            reason,
            explanation: None,
            step_up: None,
        })
    }
}

impl Reason {
    /// Every reason, in the order of the docs.
    pub const ALL: [Self; 32] = [
        Self::ClaimsMissing,
        Self::ClaimsRepeated,
        Self::ClaimsTooLarge,
        Self::ClaimsMalformed,
        Self::AlgorithmRefused,
        Self::IssuerUnknown,
        Self::KeyUnknown,
        Self::SignatureInvalid,
        Self::Expired,
        Self::NotYetValid,
        Self::TooOld,
        Self::Audience,
        Self::Type,
        Self::ClaimRequired,
        Self::BindingRequest,
        Self::Replayed,
        Self::Revoked,
        Self::KeysUnavailable,
        Self::Overloaded,
        Self::RequestMalformed,
        Self::PathAmbiguous,
        Self::RouteUnknown,
        Self::Role,
        Self::Scope,
        Self::AudienceRoute,
        Self::IssuerRoute,
        Self::BindingRoute,
        Self::Condition,
        Self::Peer,
        Self::StepUp,
        Self::SpoofedHeader,
        Self::Internal,
    ];

    /// The code that responses, logs and metrics show.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ClaimsMissing => "claims_missing",
            Self::ClaimsRepeated => "claims_repeated",
            Self::ClaimsTooLarge => "claims_too_large",
            Self::ClaimsMalformed => "claims_malformed",
            Self::AlgorithmRefused => "algorithm_refused",
            Self::IssuerUnknown => "issuer_unknown",
            Self::KeyUnknown => "key_unknown",
            Self::SignatureInvalid => "signature_invalid",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::TooOld => "too_old",
            Self::Audience => "audience",
            Self::Type => "type",
            Self::ClaimRequired => "claim_required",
            Self::BindingRequest => "binding_request",
            Self::Replayed => "replayed",
            Self::Revoked => "revoked",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Overloaded => "overloaded",
            Self::RequestMalformed => "request_malformed",
            Self::PathAmbiguous => "path_ambiguous",
            Self::RouteUnknown => "route_unknown",
            Self::Role => "role",
            Self::Scope => "scope",
            Self::AudienceRoute => "audience_route",
            Self::IssuerRoute => "issuer_route",
            Self::BindingRoute => "binding_route",
            Self::Condition => "condition",
            Self::Peer => "peer",
            Self::StepUp => "step_up",
            Self::SpoofedHeader => "spoofed_header",
            Self::Internal => "internal",
        }
    }

    /// The reason with that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The HTTP status of the response, unless the route overrides it.
    pub const fn status(self) -> u16 {
        match self {
            Self::ClaimsMissing
            | Self::ClaimsMalformed
            | Self::AlgorithmRefused
            | Self::IssuerUnknown
            | Self::KeyUnknown
            | Self::SignatureInvalid
            | Self::Expired
            | Self::NotYetValid
            | Self::TooOld
            | Self::Audience
            | Self::Type
            | Self::ClaimRequired
            | Self::BindingRequest
            | Self::Replayed
            | Self::Revoked
            | Self::StepUp => 401,
            Self::ClaimsRepeated
            | Self::RequestMalformed
            | Self::PathAmbiguous
            | Self::SpoofedHeader => 400,
            Self::ClaimsTooLarge => 431,
            Self::RouteUnknown
            | Self::Role
            | Self::Scope
            | Self::AudienceRoute
            | Self::IssuerRoute
            | Self::BindingRoute
            | Self::Condition
            | Self::Peer => 403,
            Self::KeysUnavailable | Self::Overloaded | Self::Internal => 503,
        }
    }

    /// The challenge of the response.
    pub const fn challenge(self) -> Challenge {
        match self {
            Self::ClaimsMissing => Challenge::Bare,
            Self::StepUp => Challenge::InsufficientUserAuthentication,
            Self::Scope => Challenge::InsufficientScope,
            _ if self.status() == 401 => Challenge::InvalidToken,
            _ => Challenge::None,
        }
    }

    /// Whether the request itself is malformed. Shadow mode denies such a request too, since it cannot be
    /// forwarded safely.
    pub const fn is_malformed_request(self) -> bool {
        self.status() == 400
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_code_finds_every_reason() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
    }
}
