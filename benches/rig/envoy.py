"""Envoy processes: their bootstrap, their start and end, and what the kernel says they used."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from . import tokens

TYPE = "type.googleapis.com/envoy."
OK = {"status": 200, "body": {"inline_string": "ok\n"}}
READY_TIMEOUT = 120.0  # seconds; 10,000 routes in a debug build of the filter take a while


class EnvoyFailed(Exception):
    """Envoy ended or did not get ready; holds the end of its log."""


def binary():
    """The path of Envoy: `ENVOY`, or what `make setup` installed."""
    return os.environ.get("ENVOY") or tokens.tool("envoy")


def free_ports(count):
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def http_filter(name, kind, **config):
    """One element of `http_filters`."""
    return {"name": name, "typed_config": {"@type": f"{TYPE}{kind}", **config}}


def listener(name, port, http_filters, vhost):
    """A listener with one virtual host; everything that is not named stays at Envoy's default."""
    router = http_filter("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")
    manager = {
        "@type": f"{TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"name": name, "virtual_hosts": [{"name": name, "domains": ["*"], **vhost}]},
        "http_filters": [*http_filters, router],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "address": _address(port), "filter_chains": [chain]}


def bootstrap(admin_port, listeners, upstream_port=None, lds=None):
    """A bootstrap with those listeners, or with listeners from a file that may change."""
    config = {"admin": {"address": _address(admin_port)}, "static_resources": {"listeners": listeners}}
    if upstream_port:
        config["static_resources"]["clusters"] = [_cluster("upstream", upstream_port)]
    if lds:
        config["node"] = {"id": "bench", "cluster": "bench"}
        config["dynamic_resources"] = {
            "lds_config": {"resource_api_version": "V3", "path_config_source": {"path": str(lds)}}
        }
    return config


class Envoy:
    """A running Envoy; use it in a `with` statement."""

    def __init__(self, config, directory, name, concurrency=1, cpus=None):
        self.admin_port = config["admin"]["address"]["socket_address"]["port_value"]
        self.log_path = directory / f"{name}.log"
        path = directory / f"{name}.json"
        path.write_text(json.dumps(config, indent=1))
        command = [binary(), "-c", str(path), "--concurrency", str(concurrency)]
        command += ["--use-dynamic-base-id", "--log-level", "warning", "--log-path", str(self.log_path)]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None,
        )

    def __enter__(self):
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends the process, and waits for its end."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def admin(self, path):
        """The text that the admin interface answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=20) as answer:
            return answer.read().decode()

    def check_alive(self):
        """Raises with the log's end if the process has ended."""
        if self.process.poll() is not None:
            raise EnvoyFailed(f"envoy ended with {self.process.returncode}:\n{self.log_tail()}")

    def log_tail(self):
        """The last lines of its log."""
        if not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-15:])

    def cpu(self):
        """CPU time that it has used so far, in seconds: (whole process, workers alone).

        From /proc/PID/task/*/schedstat, the first field: time on a CPU in nanoseconds. (utime and
        stime in /proc/PID/stat hold the same in ticks of 10 ms.)
        """
        total = workers = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            spent = int((task / "schedstat").read_text().split()[0])
            total += spent
            if (task / "comm").read_text().startswith("wrk:"):
                workers += spent
        return total / 1e9, workers / 1e9

    def rss_kib(self):
        """Resident memory in KiB (VmRSS)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise EnvoyFailed("no VmRSS: the process is gone")

    def _wait_ready(self):
        deadline = time.monotonic() + READY_TIMEOUT
        while True:
            self.check_alive()
            try:
                if self.admin("/ready").strip() == "LIVE":
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise EnvoyFailed(f"not ready after {READY_TIMEOUT:.0f} s:\n{self.log_tail()}")
            time.sleep(0.02)


def upstream_listener(port):
    """A cheap upstream: 200 at once. With `x-bench-echo` it tells in response headers which of
    the filter's headers it got; only the checks before the measurement ask for that."""
    seen = ["x-auth-subject", "x-auth-roles", "x-correlation-id", "x-edge-claims"]
    echo = [
        {"header": {"key": f"seen-{name}", "value": f"%REQ({name})%"}, "keep_empty_value": True}
        for name in seen
    ]
    return listener("upstream", port, [], {
        "routes": [
            {
                "match": {"prefix": "/", "headers": [{"name": "x-bench-echo", "present_match": True}]},
                "direct_response": OK,
                "response_headers_to_add": echo,
            },
            {"match": {"prefix": "/"}, "direct_response": OK},
        ]
    })  # fmt: skip


def _address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name, port):
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
