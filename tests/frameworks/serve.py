"""One small application in several frameworks, as the end-to-end tests run it behind Envoy.

  serve.py flask | django | uvicorn | hypercorn

prints the port on which it serves, on 127.0.0.1. `uvicorn` and `hypercorn` serve the same FastAPI
application. Each handler that runs is recorded; `GET /handlers` returns and clears the record:

  GET /orders/{id}     read_order
  DELETE /orders/{id}  delete_order
  GET /admin/users     admin_users
  GET /files/{name}    file
  GET /{name}          page
"""

import asyncio
import socket
import sys

handlers = []


def ran(handler):
    handlers.append(handler)
    return {"handler": handler}


def drain():
    names = list(handlers)
    handlers.clear()
    return names


def flask_app():
    from flask import Flask, jsonify

    app = Flask(__name__)
    app.get("/handlers")(lambda: jsonify(drain()))
    app.get("/orders/<order>", endpoint="read_order")(lambda order: ran("read_order"))
    app.delete("/orders/<order>", endpoint="delete_order")(lambda order: ran("delete_order"))
    app.get("/admin/users", endpoint="admin_users")(lambda: ran("admin_users"))
    app.get("/files/<name>", endpoint="file")(lambda name: ran("file"))
    app.get("/<name>", endpoint="page")(lambda name: ran("page"))
    return app


def django_app():
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponseNotAllowed, JsonResponse
    from django.urls import path

    def orders(request, order):
        if request.method == "GET":
            return JsonResponse(ran("read_order"))
        if request.method == "DELETE":
            return JsonResponse(ran("delete_order"))
        return HttpResponseNotAllowed(["GET", "DELETE"])

    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of-the-tests")
    django.setup()
    globals()["urlpatterns"] = [
        path("handlers", lambda request: JsonResponse(drain(), safe=False)),
        path("orders/<order>", orders),
        path("admin/users", lambda request: JsonResponse(ran("admin_users"))),
        path("files/<name>", lambda request, name: JsonResponse(ran("file"))),
        path("<name>", lambda request, name: JsonResponse(ran("page"))),
    ]
    return WSGIHandler()


def fastapi_app():
    from fastapi import FastAPI

    app = FastAPI()
    app.get("/handlers")(lambda: drain())
    app.get("/orders/{order}")(lambda order: ran("read_order"))
    app.delete("/orders/{order}")(lambda order: ran("delete_order"))
    app.get("/admin/users")(lambda: ran("admin_users"))
    app.get("/files/{name}")(lambda name: ran("file"))
    app.get("/{name}")(lambda name: ran("page"))
    return app


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def announce(port):
    print(port, flush=True)


def serve_flask():
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, flask_app(), threaded=True)
    announce(server.server_port)
    server.serve_forever()


def serve_django():
    from wsgiref.simple_server import make_server

    server = make_server("127.0.0.1", 0, django_app())
    announce(server.server_port)
    server.serve_forever()


def serve_uvicorn():
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    announce(listener.getsockname()[1])
    server = uvicorn.Server(uvicorn.Config(fastapi_app(), log_level="warning"))
    server.run(sockets=[listener])


def serve_hypercorn():
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    port = free_port()
    config.bind = [f"127.0.0.1:{port}"]
    announce(port)
    asyncio.run(serve(fastapi_app(), config))


SERVERS = {"flask": serve_flask, "django": serve_django, "uvicorn": serve_uvicorn, "hypercorn": serve_hypercorn}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in SERVERS:
        sys.exit("usage: serve.py " + " | ".join(SERVERS))
    SERVERS[sys.argv[1]]()
