from conftest import BOB


def test_the_headers_become_a_typed_user(ask):
    sent = {
        "x-auth-subject": "b%C3%B6b%2C%20the%20%25",
        "x-auth-roles": "reader,a%2Cb",
        "x-auth-country": "DE",
        "x-auth-city": "K%C3%B6ln",
    }
    user = ask("GET", "/me", sent).json()
    assert user["subject"] == "böb, the %"
    assert sorted(user["roles"]) == ["a,b", "reader"]
    assert sorted(user["scopes"]) == ["orders:read", "orders:write"]
    assert user["location"] == {"country": "DE", "region": None, "city": "Köln"}


def test_nobody_is_not_somebody(ask):
    for subject in (None, ""):
        response = ask("GET", "/me", {"x-auth-subject": subject})
        assert (response.status_code, response.json()["code"]) == (401, "no_identity")
        assert response.headers["www-authenticate"] == 'Bearer realm="mesh"'


def test_a_repeated_header_is_refused(ask):
    for header in ("x-auth-subject", "x-auth-roles", "x-auth-scope", "x-auth-tenant"):
        response = ask("GET", "/me", raw=[*BOB.items(), (header, "admin")])
        assert (response.status_code, response.json()["code"]) == (400, "identity_repeated"), header


def test_scopes_roles_and_tenant_are_needed(ask):
    path = "/tenants/acme/orders"
    assert ask("POST", path, json={"item": "tea"}).status_code == 201
    for changes, code in (
        ({"x-auth-scope": "orders:read"}, "scope"),
        ({"x-auth-scope": None}, "scope"),
        # One scope with a comma, not two.
        ({"x-auth-scope": "orders:read,orders:write"}, "scope"),
        ({"x-auth-roles": "reader"}, "role"),
        ({"x-auth-roles": "reader%2Ceditor"}, "role"),
        ({"x-auth-tenant": "globex"}, "tenant"),
        ({"x-auth-tenant": None}, "tenant"),
    ):
        response = ask("POST", path, changes, json={"item": "tea"})
        assert (response.status_code, response.json()["code"]) == (403, code), changes
    assert len(ask("GET", path).json()) == 1


def test_openapi_documents_what_is_checked(ask):
    schema = ask.app.openapi()
    post = schema["paths"]["/tenants/{tenant}/orders"]["post"]
    # One requirement with both: two in the list would mean one of them.
    assert post["security"] == [{"login": ["orders:write"], "roles": ["editor"]}]
    assert "security" not in schema["paths"]["/public/hello"]["get"]
    assert "application/problem+json" in post["responses"]["403"]["content"]
    assert schema["components"]["securitySchemes"]["login"]["type"] == "openIdConnect"
    assert "/healthz" not in schema["paths"]
