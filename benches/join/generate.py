#!/usr/bin/env python3
"""Writes an edge log and a mesh log of about SIZE megabytes each into FOLDER.

The lines have the fields of examples/fastly-edge and docs/access-logs. Of 100 requests, 7 end at the edge, 1 is
lost on the way to the mesh, and 5 are denied by the filter. The mesh's lines are in another order than the edge's,
as they are when requests overlap. The numbers are the same on every run.
"""

import random
import sys

OVERLAP = 500
EDGE = (
    '{"time":"2026-11-21T08:%02d:%02d.%03dZ","correlation_id":"%s","correlation_source":"generated",'
    '"outcome":"%s",%s"status":%d,"method":"%s","host":"shop.example.com","path":"%s",'
    '"subject":"486430a4fe6842bce69604b6eb88f793","kid":"k1","token_id":"%032x",'
    '"trace_id":"%032x","stripped_headers":0,"duration_ms":%d,"edge_us":%d,%s"pop":"FRA","service_version":"42"}\n'
)
MESH = (
    '{"time":"2026-11-21T08:%02d:%02d.%03dZ","correlation_id":"%s","verdict":"%s","status":%d,"details":"%s",'
    '"flags":"-","method":"%s","host":"shop.example.com","path":"%s","protocol":"HTTP/1.1","duration_ms":%d,'
    '"before_connect_us":%s,"before_upstream_us":%s,"upstream_us":%s,"response_us":%d,"attempts":%d,'
    '"request_id":"081a24f4-2d6d-498d-b2a2-%012x","trace_id":null,"upstream_host":"10.4.7.%d:8080",'
    '"reason":null,"route":"%s","issuer":"https://edge.example.com","kid":"k1","subject":null,'
    '"correlation_source":"signed"}\n'
)


def main(folder, megabytes):
    rng = random.Random(7)
    size = megabytes * 1_000_000
    paths = [f"/tenants/{tenant}/orders/{order}" for tenant in ("acme", "globex", "initech") for order in range(500)]
    edge_bytes = mesh_bytes = number = 0
    waiting = []
    with open(f"{folder}/edge.log", "w") as edge, open(f"{folder}/mesh.log", "w") as mesh:
        while min(edge_bytes, mesh_bytes) < size:
            number += 1
            bits = rng.getrandbits(128)
            digits = f"{bits:032x}"
            correlation_id = f"019aa3c0-{number >> 16 & 0xffff:04x}-7{digits[:3]}-8{digits[3:6]}-{digits[6:18]}"
            minute, second, millisecond = number // 60_000 % 60, number // 1000 % 60, number % 1000
            kind, path = rng.randrange(100), paths[bits % len(paths)]
            method = "GET" if bits & 3 else "POST"
            own = 150 + bits % 400
            upstream = int(rng.lognormvariate(9.0, 0.9))
            denied = kind < 13
            filtered = 120 + bits % 250
            fresh = bits % 20 == 0
            wait = (filtered if denied else filtered + 950 + upstream) + 500 + bits % 3000
            ended = kind < 7
            outcome, why, status = ("redirected", '"reason":"session_missing",', 302) if ended else ("forwarded", "", 200)
            total = own if ended else own + wait
            line = EDGE % (
                minute, second, millisecond, correlation_id, outcome, why, status, method, path, bits, bits >> 1,
                total // 1000, own, "" if ended else f'"mesh_us":{wait},',
            )
            edge.write(line)
            edge_bytes += len(line)
            if kind < 8:
                continue
            line = MESH % (
                minute, second, millisecond, correlation_id,
                "deny/role/orders-write" if denied else "allow/orders-read", 403 if denied else 200,
                "edge_claims_denied{role}{orders-write}" if denied else "via_upstream",
                method, path, (filtered if denied else filtered + upstream) // 1000,
                filtered if fresh and not denied else "null",
                "null" if denied else filtered + (900 if fresh else 40),
                "null" if denied else upstream,
                filtered if denied else filtered + upstream + 950,
                0 if denied else 1, bits & 0xffffffffffff, bits % 250,
                "orders-write" if denied else "orders-read",
            )
            mesh_bytes += len(line)
            waiting.append(line)
            if len(waiting) == OVERLAP:
                rng.shuffle(waiting)
                mesh.writelines(waiting)
                waiting.clear()
        mesh.writelines(waiting)


main(sys.argv[1], int(sys.argv[2]))
