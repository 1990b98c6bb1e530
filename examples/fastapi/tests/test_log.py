"""The lines against the schema of the fields are a test of the whole chain, tests/fastapi."""

from conftest import SECRET

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_request_is_one_line(ask, lines):
    ask("GET", "/tenants/acme/orders?password=x", {"traceparent": TRACE})
    (line,) = lines()
    assert line.pop("duration_ms") >= 0
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "correlation_id": "id-1",
        "method": "GET",
        "host": "orders.example.com",
        "path": "/tenants/acme/orders",
        "status": 200,
        "route": "/tenants/{tenant}/orders",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


def test_other_lines_of_a_request_have_its_id(ask, lines):
    ask("POST", "/tenants/acme/orders", json={"item": "tea", "count": 2})
    placed, request = lines()
    assert (placed["event"], placed["number"], placed["count"]) == ("order placed", 1, 2)
    assert placed["correlation_id"] == request["correlation_id"] == "id-1"


def test_no_secret_is_logged_or_answered(ask, lines):
    for path, headers in (("/me", {}), ("/me", {"x-proxy-secret": SECRET + "x"})):
        text = ask("GET", path, headers | {"cookie": "c=crumb", "x-edge-claims": "tok.en.x"}).text + str(lines())
        for secret in (SECRET, "crumb", "tok.en.x"):
            assert secret not in text


def test_lines_are_not_split_and_ids_not_invented(ask, lines):
    for bad in ("a b", "x" * 129, "a\u00e9".encode(), '"}{'):
        ask("GET", "/public/hello", {"x-correlation-id": bad, "traceparent": "00-" + "0" * 32 + "-1-01"})
        (line,) = lines()
        assert "correlation_id" not in line and "trace_id" not in line
    ask("GET", "/a%0Ab%22?x")
    (line,) = lines()
    assert line["path"] == "/a%0Ab%22" and line["status"] == 404


def test_failures_are_problems_with_the_id(ask, lines):
    @ask.app.get("/public/broken")
    async def broken() -> None:
        raise RuntimeError("the inside")

    for method, path, status, code in (
        ("GET", "/none", 404, "not_found"),
        ("PUT", "/me", 405, "method_not_allowed"),
        ("GET", "/public/broken", 500, "internal"),
    ):
        response = ask(method, path)
        body = response.json()
        assert response.headers["content-type"] == "application/problem+json"
        assert (body["status"], body["code"], body["correlation_id"]) == (status, code, "id-1")
        assert "inside" not in response.text
        line = lines()[-1]
        assert (line["event"], line["status"], line["reason"]) == ("request", status, code)
    invalid = ask("POST", "/tenants/acme/orders", json={"item": "hunter2" * 99, "count": 0})
    assert invalid.json()["code"] == "invalid" and len(invalid.json()["errors"]) == 2
    assert "hunter2" not in invalid.text
