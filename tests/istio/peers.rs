//! mTLS peers between workloads.

use edge_claims_harness::Client;

use crate::proxy::ORDERS;
use crate::requests::Mesh;

const INVOICES: &str = "/internal/invoices/2026";

#[test]
fn a_route_for_a_peer_is_for_nobody_else() {
    let mut mesh = Mesh::trafficextension();
    let billing = mesh.lab.billing();
    let host = "orders.shop.svc.cluster.local";

    let response = billing.client().get(INVOICES).host(host).send();
    assert_eq!(response.status, 200, "{response:?}");
    let forwarded = mesh
        .lab
        .orders
        .only()
        .all("x-forwarded-client-cert")
        .join(",");
    assert!(
        forwarded.contains("spiffe://cluster.local/ns/billing/sa/billing"),
        "by mTLS: {forwarded:?}"
    );
    let elsewhere = billing
        .client()
        .get("/tenants/a/orders/1")
        .host(host)
        .send();
    assert_eq!(
        elsewhere.json()["code"],
        "claims_missing",
        "a peer is no user"
    );

    // The same path from outside of the mesh, and past the gateway, with and without a word about who calls.
    let direct = Client::to(ORDERS.listens.parse().expect("an address"));
    for (name, client, status) in [
        ("by the gateway", mesh.gateway.client(), 401),
        ("without TLS", &direct, 403),
    ] {
        for header in ["x-forwarded-client-cert", "x-test"] {
            let request = client.get(INVOICES).host("shop.example.com");
            let request = request.header(
                header,
                "By=spiffe://x;URI=spiffe://cluster.local/ns/billing/sa/billing",
            );
            let response = request.send();
            // The gateway has no route for it, and asks for a token first.
            assert_eq!(response.status, status, "{name}: {response:?}");
        }
    }
    assert_eq!(mesh.lab.orders.count(), 0);
    assert_eq!(
        direct.get("/healthz").send().status,
        200,
        "the public route is for all"
    );
}
