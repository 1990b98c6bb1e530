"""Signs tokens with libraries that have nothing to do with the filter's own.

Reads one JSON object from standard input and writes JSON to standard output:

  {"mint": [{"library": "pyjwt" | "joserfc" | "raw", "alg": "ES256", "key": JWK,
             "header": …, "payload": …}, …]}            -> tokens
  {"generate_rsa": 2}                                    -> private JWKs
  {"generate_ec": "P-521"}                               -> a private JWK

With "raw", header and payload are the encoded parts, and what stands in them is not looked at: the
signature over them is good.
"""

import functools
import hashlib
import hmac
import json
import sys
import warnings

import joserfc.jwk
import joserfc.jwt
import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

# The tests sign with short secrets and deprecated names on purpose.
warnings.simplefilter("ignore")

KINDS = {"EC": joserfc.jwk.ECKey, "RSA": joserfc.jwk.RSAKey, "OKP": joserfc.jwk.OKPKey,
         "oct": joserfc.jwk.OctKey}


def pyjwt(order):
    header = dict(order["header"])
    key = jwt.PyJWK(order["key"], algorithm=order["alg"]).key
    return jwt.encode(order["payload"], key, algorithm=order["alg"], headers=header)


def rfc(order):
    key = KINDS[order["key"]["kty"]].import_key(order["key"])
    # joserfc signs with what it does not recommend only where a list names it.
    return joserfc.jwt.encode(order["header"], order["payload"], key, algorithms=[order["alg"]])


def raw(order):
    signed = (order["header"] + "." + order["payload"]).encode()
    signature = sign(order["alg"], order["key"], signed)
    return signed.decode() + "." + jwt.utils.base64url_encode(signature).decode()


@functools.cache
def private_key(jwk):
    """Of a JWK as text: to check a key again for each token would be most of the work."""
    jwk = json.loads(jwk)
    return KINDS[jwk["kty"]].import_key(jwk).private_key


def sign(alg, jwk, signed):
    if alg.startswith("HS"):
        secret = jwt.utils.base64url_decode(jwk["k"].encode())
        return hmac.new(secret, signed, getattr(hashlib, "sha" + alg[2:])).digest()
    key = private_key(json.dumps(jwk))
    if alg == "EdDSA":
        return key.sign(signed)
    digest = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[alg[2:]]()
    if alg.startswith("ES"):
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
        size = (key.curve.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if alg.startswith("RS"):
        return key.sign(signed, padding.PKCS1v15(), digest)
    pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
    return key.sign(signed, pss, digest)


def generate_rsa():
    return joserfc.jwk.RSAKey.generate_key(2048, private=True).as_dict(private=True)


def main():
    request = json.load(sys.stdin)
    if "generate_rsa" in request:
        answer = [generate_rsa() for _ in range(request["generate_rsa"])]
    elif "generate_ec" in request:
        answer = joserfc.jwk.ECKey.generate_key(request["generate_ec"]).as_dict(private=True)
    else:
        libraries = {"pyjwt": pyjwt, "joserfc": rfc, "raw": raw}
        answer = [libraries[order["library"]](order) for order in request["mint"]]
    json.dump(answer, sys.stdout)


main()
