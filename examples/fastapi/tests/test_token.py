"""The second verification, against a key server that counts."""

import asyncio
import base64
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from orders.identity import User
from orders.problems import Refused
from orders.token import Keys, KeysUnavailable, TokenCheck, UnknownKey


class KeyServer:
    def __init__(self):
        self.fetches, self.status, self.kids, self.delay = 0, 200, ["k1"], 0.0
        self.keys = {kid: ec.generate_private_key(ec.SECP256R1()) for kid in ("k1", "k2")}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.fetches += 1
                time.sleep(server.delay)
                self.send_response(server.status)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": [server.jwk(kid) for kid in server.kids]}).encode())

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/jwks.json"

    def jwk(self, kid):
        public = ECAlgorithm.to_jwk(self.keys[kid].public_key(), as_dict=True)
        return public | {"kid": kid, "alg": "ES256", "use": "sig"}

    def token(self, kid="k1", typ="edge-claims+jwt", alg="ES256", key=None, **changes):
        now = int(time.time())
        claims = {"iss": "https://edge.example.com", "aud": "mesh.example.com", "sub": "bob"}
        claims |= {"iat": now, "exp": now + 60} | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        key = None if alg == "none" else key or self.keys[kid]
        return jwt.encode(claims, key, alg, {"typ": typ, "kid": kid})


@pytest.fixture
def server():
    server = KeyServer()
    yield server
    server.http.shutdown()


def hmac_signed(token, secret):
    """The attack on verifiers that let the token choose: PyJWT itself refuses to sign so."""
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"k1","typ":"edge-claims+jwt"}').rstrip(b"=").decode()
    text = f"{header}.{token.split('.')[1]}"
    mac = hmac.digest(secret.encode(), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def code(check, *tokens, subject="bob"):
    class Request:
        class headers:
            getlist = staticmethod(lambda _: list(tokens))

    try:
        asyncio.run(check.verify(Request, User(subject=subject)))
    except Refused as error:
        return error.code
    return "ok"


def test_what_the_token_must_say(settings, server):
    check = TokenCheck(settings(jwks_url=server.url))
    good = server.token()
    assert code(check, good) == "ok"
    assert code(check) == "token_missing"
    assert code(check, good, good) == "token_missing"
    assert code(check, good, subject="eve") == "token_of_another"
    assert code(check, server.token(exp=int(time.time()) - 60)) == "token_expired"
    header, payload, signature = good.split(".")
    public = json.dumps(server.jwk("k1"))
    for bad in (
        "",
        "a.b.c",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        server.token(typ="JWT"),
        server.token(iss="https://evil.example"),
        server.token(aud="other"),
        server.token(sub=None),
        server.token(exp=None),
        server.token(kid="k1", key=server.keys["k2"]),
        # The public key as a secret, and no signature at all.
        hmac_signed(good, public),
        server.token(alg="none"),
    ):
        assert code(check, bad) == "token_invalid", bad


def test_many_requests_fetch_once(server):
    server.delay = 0.2

    async def run():
        keys = Keys(server.url, 60, 10)
        await asyncio.gather(*(keys.get("k1") for _ in range(500)))

    asyncio.run(run())
    assert server.fetches == 1


def test_invented_key_ids_fetch_nothing(server):
    async def run():
        keys = Keys(server.url, 60, 10)
        await keys.get("k1")
        for number in range(200):
            with pytest.raises(UnknownKey):
                await keys.get(f"invented-{number}")

    asyncio.run(run())
    assert server.fetches == 1


def test_a_new_key_is_found_after_the_pause(server):
    async def run():
        keys = Keys(server.url, 60, 0.2)
        await keys.get("k1")
        server.kids = ["k1", "k2"]
        await asyncio.sleep(0.3)
        assert (await keys.get("k2")).key_id == "k2"

    asyncio.run(run())
    assert server.fetches == 2


def test_a_removed_key_is_refused_after_the_window(server):
    async def run():
        keys = Keys(server.url, 0.2, 10)
        await keys.get("k1")
        server.kids = ["k2"]
        await asyncio.sleep(0.3)
        with pytest.raises(UnknownKey):
            await keys.get("k1")

    asyncio.run(run())
    assert server.fetches == 2


def test_a_broken_key_server_is_asked_once_per_pause(server):
    async def run():
        keys = Keys(server.url, 60, 0.5)
        server.status = 500
        for _ in range(100):
            with pytest.raises(KeysUnavailable):
                await keys.get("k1")
        assert server.fetches == 1
        server.status = 200
        await asyncio.sleep(0.6)
        await keys.get("k1")

    asyncio.run(run())
    assert server.fetches == 2


def test_no_keys_deny(settings, server):
    server.status = 500
    assert code(TokenCheck(settings(jwks_url=server.url)), server.token()) == "keys_unavailable"
