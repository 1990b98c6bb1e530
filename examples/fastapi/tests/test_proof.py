import pytest
from conftest import BOB, SECRET
from pydantic import ValidationError

from orders.settings import Settings


@pytest.mark.parametrize(
    "changes",
    [
        {"x-proxy-secret": None},
        {"x-proxy-secret": ""},
        {"x-proxy-secret": SECRET[:-1]},
        {"x-proxy-secret": SECRET + "s"},
        {"x-proxy-secret": "\u00e9".encode() * 20},
    ],
)
def test_without_the_proof_nothing_is_believed(ask, lines, changes):
    for path in ("/me", "/public/hello", "/openapi.json", "/docs", "/none", "/healthz/"):
        response = ask("GET", path, changes)
        assert (response.status_code, response.json()["code"]) == (403, "not_from_proxy"), path
        # The sender's ID could be that of another request.
        assert "correlation_id" not in response.json()
        (line,) = lines()
        assert line["reason"] == "not_from_proxy" and "correlation_id" not in line


def test_two_secrets_are_none(ask):
    response = ask("GET", "/me", raw=[*BOB.items(), ("x-proxy-secret", SECRET)])
    assert response.status_code == 403


def test_the_old_secret_is_valid_while_it_is_rotated(ask, settings, tmp_path):
    from orders.proof import SharedSecret

    (tmp_path / "old").write_text("o" * 40)
    proof = SharedSecret(settings(old_secret_file=tmp_path / "old"))
    for secret, holds in ((SECRET, True), ("o" * 40, True), ("n" * 40, False)):
        assert proof.holds({"headers": [(b"x-proxy-secret", secret.encode())]}) is holds


def test_a_certificate_proves_only_with_one_of_the_names(settings):
    from orders.proof import ClientCertificate

    proof = ClientCertificate(Settings.model_construct(client_names=frozenset({"envoy.mesh"})))
    named = {"extensions": {"edge_claims.tls": {"client_names": frozenset({"envoy.mesh"})}}}
    other = {"extensions": {"edge_claims.tls": {"client_names": frozenset({"intruder.mesh"})}}}
    assert proof.holds(named)
    # A server that tells nothing about the peer proves nothing.
    for scope in (other, {"extensions": {}}, {}):
        assert not proof.holds(scope)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "proof"),
        ({"proof": "none"}, "proof"),
        ({"proof": "secret"}, "ORDERS_SECRET_FILE"),
        ({"proof": "secret", "secret_file": "/none/secret"}, "cannot be read"),
        ({"proof": "mtls"}, "ORDERS_CLIENT_AUTHORITY"),
        ({"proof": "mtls", "tls_certificate": "c", "tls_key": "k", "client_authority": "a"}, "ORDERS_CLIENT_NAMES"),
    ],
)
def test_what_is_not_configured_does_not_start(values, says):
    with pytest.raises(ValidationError, match=says):
        Settings(**values)


def test_a_short_secret_does_not_start(tmp_path):
    (tmp_path / "short").write_text("password")
    with pytest.raises(ValidationError, match="at least 32") as error:
        Settings(proof="secret", secret_file=tmp_path / "short")
    assert "password" not in str(error.value.errors(include_input=False, include_context=False))


def test_probes_need_no_proof_and_learn_nothing(ask):
    response = ask("GET", "/healthz", {"x-proxy-secret": None})
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
