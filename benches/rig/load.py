"""The load: h2load and wrk, and the single requests that check a row before it is measured."""

import http.client
import json
import os
import subprocess
from pathlib import Path

from . import routes
from .rows import CACHE_ENTRIES

SCRIPT = Path(__file__).with_name("wrk.lua")

# What a browser and an edge send. With `host` these are the ten ordinary headers.
ORDINARY = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept": "application/json, text/plain, */*",
    "accept-language": "en-GB,en;q=0.8,de;q=0.5",
    "accept-encoding": "gzip, deflate, br, zstd",
    "referer": "https://shop.example.com/orders",
    "cookie": "theme=dark; consent=2026-01-15; ab=exp-114%3Ab",
    "x-forwarded-for": "203.0.113.7",
    "x-request-id": "3f1d8c52-93f0-4a2e-9d25-0a8a2c1f7b66",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
CORRELATION = "0193b3a1-7c44-7d0e-8f52-6a3be1a9c001"


# As many tokens as fill the filter's cache, twice. They come once: a full cache keeps what it has, and
# would know them again.
FIRST = 2 * CACHE_ENTRIES


class LoadFailed(Exception):
    """A request was not answered with success, so the figure would not mean what it says."""


def headers(token=None, **more):
    """The request's headers."""
    made = {"host": routes.TARGET_HOST, **ORDINARY, "x-correlation-id": CORRELATION}
    if token:
        made["x-edge-claims"] = token
    return made | more


def ask(port, token=None, path=routes.TARGET_PATH, method=routes.TARGET_METHOD):
    """One request: its status, and what the upstream saw ({} where it was not reached)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers=headers(token, **{"x-bench-echo": "1"}))
        answer = connection.getresponse()
        answer.read()
        seen = {k[5:]: v for k, v in answer.getheaders() if k.startswith("seen-")}
        correlation = answer.getheader("x-correlation-id")
        return answer.status, seen, correlation
    finally:
        connection.close()


class Load:
    """The load generators; remembers how far into the tokens each row has come."""

    def __init__(self, directory, shape, cpus):
        self.directory, self.shape, self.cpus = directory, shape, cpus
        self.next_token = {}

    def run(self, row, port, seconds):
        """Load for that many seconds: requests, requests/s, p50 and p99 in microseconds."""
        return (self._wrk if row.http1 else self._h2load)(row, port, seconds)

    def _h2load(self, row, port, seconds):
        """HTTP/2 with several streams on each connection; every request is the same."""
        log = self.directory / "h2load.log"
        log.unlink(missing_ok=True)
        named = {k: v for k, v in headers(row.token).items() if k != "host"}
        named[":authority"] = routes.TARGET_HOST
        command = ["h2load", "-t1", f"-c{self.shape['connections']}", f"-m{self.shape['streams']}"]
        command += [f"-D{seconds}", f"--log-file={log}"]
        for name, value in named.items():
            command += ["-H", f"{name}: {value}"]
        if row.body:
            body = self.directory / "body"
            body.write_bytes(b"x" * row.body)
            # h2load sends POST otherwise, which is another route.
            command += ["-d", str(body), "-H", ":method: GET"]
        self._call(row, [*command, _url(port)], os.environ)
        # Columns: start in microseconds since the epoch, status, microseconds taken.
        answers = [line.split("\t") for line in log.read_text().splitlines()]
        bad = sum(status != "200" for _, status, _ in answers)
        if bad or len(answers) < 100:
            raise LoadFailed(f"{row.name}: {bad} of {len(answers)} requests failed")
        took = sorted(int(duration) for _, _, duration in answers)
        return {
            "requests": len(took),
            "requests_per_s": len(took) / seconds,
            "p50_us": took[len(took) // 2],
            "p99_us": took[len(took) * 99 // 100],
        }

    def _wrk(self, row, port, seconds):
        """HTTP/1.1 with one request at a time on each connection; h2load cannot change a header
        from request to request, wrk can."""
        file = self.directory / "headers.txt"
        token = None if row.cold_file else row.token
        file.write_text("".join(f"{k}: {v}\n" for k, v in headers(token).items()))
        env = os.environ | {"BENCH_HEADERS": str(file)}
        if row.cold_file:
            # A round begins where the last one ended, and those that a cache may keep don't come again.
            start = self.next_token.get(row.name, 0)
            env |= {"BENCH_TOKENS": str(row.cold_file), "BENCH_START": str(start), "BENCH_AGAIN": str(FIRST)}
        command = ["wrk", "-t1", f"-c{self.shape['http1_connections']}", f"-d{seconds}s"]
        out = self._call(row, [*command, "-s", str(SCRIPT), _url(port)], env)
        result = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
        self.next_token[row.name] = result["next_token"]
        if result["bad_status"] or result["broken"] or result["requests"] < 100:
            raise LoadFailed(f"{row.name}: not every request succeeded: {result}")
        return {
            "requests": result["requests"],
            "requests_per_s": result["requests"] * 1e6 / result["duration_us"],
            "p50_us": result["p50_us"],
            "p99_us": result["p99_us"],
        }

    def _call(self, row, command, env):
        cpus = self.cpus
        done = subprocess.run(
            command,
            env=env,
            capture_output=True,
            text=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None,
        )
        if done.returncode:
            raise LoadFailed(f"{command[0]} failed on {row.name}:\n{done.stdout}{done.stderr}")
        return done.stdout


def _url(port):
    return f"http://127.0.0.1:{port}{routes.TARGET_PATH}"
