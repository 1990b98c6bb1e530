//! Compact JWS, keys, verification, claim checks, caches.
