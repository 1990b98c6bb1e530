"""Checks the rows, measures them in interleaved rounds, and weighs what they hold in memory."""

import json
import statistics
import sys
import time
from contextlib import ExitStack

from . import load
from .envoy import Envoy, EnvoyFailed, bootstrap, free_ports, listener, upstream_listener

# Seconds: V8 compiles a function again, for speed, once it was called some hundred thousand times.
WARM_UP = 3
# Seconds from one time to the next that the filter tells the host of its counters.
TICK = 1
WEIGHING_WORKERS = (1, 3)


class CheckFailed(Exception):
    """A row does not do the work that it claims to do."""


class Bench:
    """The processes of one run: the Envoy under test with all listeners, and the upstream."""

    def __init__(self, directory, rows, shape, pin):
        self.directory, self.rows = directory, rows
        # The Envoy under test alone on the last CPU, everything else on the others.
        self.cpus, rest = pin if pin else (None, None)
        self.rest = rest
        self.load = load.Load(directory, shape, rest)
        self.stack = ExitStack()

    def __enter__(self):
        ports = free_ports(3 + len(self.rows))
        self.upstream_port, admin, upstream_admin = ports[:3]
        self.ports = dict(zip([row.name for row in self.rows], ports[3:]))
        upstream = bootstrap(upstream_admin, [upstream_listener(self.upstream_port)])
        with ExitStack() as stack:
            stack.enter_context(Envoy(upstream, self.directory, "upstream", cpus=self.rest))
            listeners = [_row_listener(row, self.ports[row.name]) for row in self.rows]
            config = bootstrap(admin, listeners, self.upstream_port)
            self.envoy = stack.enter_context(Envoy(config, self.directory, "envoy", cpus=self.cpus))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def check(self):
        """Each row lets the good request through with the edits it must make, and refuses others."""
        for row in self.rows:
            check_row(row, self.ports[row.name])

    def rounds(self, samples, count, seconds):
        """Adds one sample a round to each row's; the order within a round turns from one to the next."""
        for row in self.rows:
            self.load.run(row, self.ports[row.name], WARM_UP)
        for number in range(count):
            turn = number * len(self.rows) // count
            for row in self.rows[turn:] + self.rows[:turn]:
                samples[row.name].append(self._sample(row, seconds))
            progress(f"round {number + 1} of {count}")

    def check_caches(self):
        """Raises CheckFailed unless jwt_authn's cache was hit in the native rows that have one, and
        missed no more than at their start; and the filter's was not hit in its rows of new tokens."""
        stats = json.loads(self.envoy.admin("/stats?format=json&filter=jwt_cache_(hit|miss)$"))
        counters = {s["name"]: s["value"] for s in stats["stats"] if "name" in s}
        for row in self.rows:
            if row.kind == "native" and not row.cold:
                prefix = f"http.{row.name}.jwt_authn.jwt_cache_"
                hits, misses = counters.get(prefix + "hit", 0), counters.get(prefix + "miss", 0)
                if hits < 100 or misses > 100:
                    raise CheckFailed(f"{row.name}: {hits} hits and {misses} misses of the cache")
            elif row.kind == "ours" and row.cold:
                before = self._cache_hits()
                requests = self.load.run(row, self.ports[row.name], 1)["requests"]
                hits = self._cache_hits() - before
                if hits * 100 > requests:
                    raise CheckFailed(f"{row.name}: {hits} of {requests} tokens were not new")

    def _cache_hits(self):
        """Of the filter in all rows together, once they have told the host of the last ones."""
        time.sleep(2 * TICK)
        stats = json.loads(self.envoy.admin("/stats?format=json&filter=edge_claims_cache_total"))
        return sum(s["value"] for s in stats["stats"] if "hit" in s.get("name", ""))

    def _sample(self, row, seconds):
        before = self.envoy.cpu()
        result = self.load.run(row, self.ports[row.name], seconds)
        self.envoy.check_alive()
        process, workers = (now - then for now, then in zip(self.envoy.cpu(), before))
        return {
            "cpu_us": process * 1e6 / result["requests"],
            "worker_cpu_us": workers * 1e6 / result["requests"],
        } | result

    def weigh(self, row):
        """Load time in ms (listener added to a running Envoy until it answers), what it adds to
        the resident memory of an Envoy with one worker, and what each further worker adds, in KiB."""
        grown, ready = {}, None
        for workers in WEIGHING_WORKERS:
            took, grown[workers] = self._weigh_once(row, workers)
            ready = took if ready is None else ready
        few, many = WEIGHING_WORKERS
        per_worker = (grown[many] - grown[few]) / (many - few)
        return {"load_ms": ready, "rss_kib": grown[few], "rss_per_worker_kib": per_worker}

    def _weigh_once(self, row, workers):
        lds = self.directory / "lds.json"
        lds.write_text(json.dumps({"version_info": "0", "resources": []}))
        port, admin = free_ports(2)
        config = bootstrap(admin, [], self.upstream_port, lds=lds)
        with Envoy(config, self.directory, "weigh", workers, self.cpus) as envoy:
            resource = _row_listener(row, port) | {
                "@type": "type.googleapis.com/envoy.config.listener.v3.Listener"
            }
            text = json.dumps({"version_info": "1", "resources": [resource]})
            before = envoy.rss_kib()
            started = time.monotonic()
            # A new file moved onto the old one: Envoy watches for moves.
            new = self.directory / "lds.new.json"
            new.write_text(text)
            new.rename(lds)
            _wait_answer(row, port, envoy)
            took = (time.monotonic() - started) * 1e3
            self.load.run(row, port, 1)
            return took, envoy.rss_kib() - before


def medians(samples):
    """The median of each figure over the rounds."""
    return {key: statistics.median(s[key] for s in samples) for key in samples[0]}


def ratio(over, under):
    """The median of the ratios of CPU time per request, taken round by round, so that what
    disturbs a whole round disturbs both sides."""
    return statistics.median(a["cpu_us"] / b["cpu_us"] for a, b in zip(over, under))


def check_row(row, port):
    """Asks the row's listener what a user would see.

    # Raises CheckFailed
    """

    def expect(what, got, wanted):
        if got != wanted:
            raise CheckFailed(f"{row.name}: {what}: expected {wanted!r}, got {got!r}")

    token = row.token or None
    if row.cold_file:
        with row.cold_file.open() as lines:
            token = lines.readline().strip()
    status, seen, correlation = load.ask(port, token)
    expect("the good request", status, 200)
    if row.kind not in ("calls", "native", "ours"):
        return
    expect("identity at the upstream", seen.get("x-auth-subject"), "auth0|66f2c1b7a9d4e80012ab34cd")
    expect("roles at the upstream", bool(seen.get("x-auth-roles")), True)
    expect("token at the upstream", seen.get("x-edge-claims", ""), "")
    carried = seen.get("x-correlation-id")
    expect("correlation ID in the response", correlation, carried)
    if not row.guarded:
        return
    expect("signed correlation ID wins", carried != load.CORRELATION, row.cold)
    head, body, signature = row.token.split(".")
    forged = f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    expect("no token", load.ask(port)[0], 401)
    expect("a forged token", load.ask(port, forged)[0], 401)
    expect("no fitting role", load.ask(port, row.nobody)[0], 403)
    expect("no such route", load.ask(port, row.token, path="/nowhere/at/all")[0], 403)
    if row.name != "native_1000_simple":
        expect("the wrong method", load.ask(port, row.token, method="PATCH")[0], 403)


def progress(text):
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def _row_listener(row, port):
    return listener(row.name, port, row.http_filters, row.vhost)


def _wait_answer(row, port, envoy):
    deadline = time.monotonic() + 120
    while True:
        envoy.check_alive()
        try:
            if load.ask(port, row.token or None)[0] == 200:
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise EnvoyFailed(f"{row.name} does not answer:\n{envoy.log_tail()}")
        time.sleep(0.002)
