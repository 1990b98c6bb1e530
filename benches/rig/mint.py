"""Mints the bench's tokens and key sets. Runs in the Python environment that `scripts/setup tokens` makes.

Usage: mint.py DIRECTORY COUNT

Writes per algorithm: `ALG.jwks.json` (the public set; for HS256 the secret), `ALG.warm.txt` (one
session token, without `cid`), `ALG.nobody.txt` (the same with no role that any route admits),
`ALG.cold.txt` (COUNT different per-request tokens, one a line, each with a `cid` and a `jti`).
"""

import json
import os
import sys
import time
import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://edge.example.com"
AUDIENCE = "mesh.example.com"
LIFETIME = 48 * 3600  # seconds; tokens.py mints anew long before


def keys():
    """Algorithm → (private key for PyJWT, public JWK)."""
    es256 = ec.generate_private_key(ec.SECP256R1())
    rs256 = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    eddsa = ed25519.Ed25519PrivateKey.generate()
    secret = os.urandom(32).hex().encode()  # printable: the filter gets it from the environment
    return {
        "ES256": (es256, jwt.algorithms.ECAlgorithm.to_jwk(es256.public_key(), as_dict=True)),
        "RS256": (rs256, jwt.algorithms.RSAAlgorithm.to_jwk(rs256.public_key(), as_dict=True)),
        "EdDSA": (eddsa, jwt.algorithms.OKPAlgorithm.to_jwk(eddsa.public_key(), as_dict=True)),
        "HS256": (secret, jwt.algorithms.HMACAlgorithm.to_jwk(secret, as_dict=True)),
    }


def claims(now, roles, **more):
    """What an edge says of a user: about 400 bytes of JSON."""
    return {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": "auth0|66f2c1b7a9d4e80012ab34cd",
        "iat": now,
        "exp": now + LIFETIME,
        "tenant_id": "acme",
        "email": "jo.doe@example.com",
        "scope": "openid profile orders:read",
        "realm_access": {"roles": roles},
    } | more


def main():
    directory, count = sys.argv[1], int(sys.argv[2])
    now = int(time.time()) - 5
    for algorithm, (private, public) in keys().items():
        kid = f"bench-{algorithm.lower()}"
        public = {k: v for k, v in public.items() if k != "key_ops"}
        public |= {"kid": kid, "alg": algorithm, "use": "sig"}

        def sign(payload):
            return jwt.encode(payload, private, algorithm=algorithm, headers={"kid": kid})

        files = {
            "jwks.json": json.dumps({"keys": [public]}),
            "warm.txt": sign(claims(now, ["reader", "billing"])),
            "nobody.txt": sign(claims(now, ["nobody"])),
            "cold.txt": "\n".join(
                sign(claims(now, ["reader", "billing"], cid=str(uuid.uuid4()), jti=f"t{i}"))
                for i in range(count)
            ),
        }
        for name, text in files.items():
            with open(os.path.join(directory, f"{algorithm}.{name}"), "w") as out:
                out.write(text + "\n")


main()
