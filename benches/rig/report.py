"""What a run says: the tables on the terminal, results.json, and the tables in docs/benchmarks.md."""

import json

BEGIN = "<!-- results: written by `benches/run --write-docs` -->"
MET = {True: "met", False: "NOT met", None: ""}
END = "<!-- end of results -->"


def tables(results):
    """The results as Markdown tables, which also read well on a terminal."""
    rows, weights = results["rows"], results["weights"]
    parts = [
        _table(
            ["row", "CPU µs/request", "spread", "requests/s", "p50 µs", "p99 µs"],
            [
                [
                    f"{name}: {row['title']}",
                    f"{row['cpu_us']:.1f}",
                    f"{row['cpu_us_min']:.1f}–{row['cpu_us_max']:.1f}",
                    f"{row['requests_per_s']:,.0f}",
                    f"{row['p50_us']:,.0f}",
                    f"{row['p99_us']:,.0f}",
                ]
                for name, row in rows.items()
            ],
        )
    ]
    if results["comparisons"]:
        parts.append(
            _table(
                ["CPU per request", "ratio", "wanted", ""],
                [
                    [c["title"], f"{c['ratio']:.2f}", c["wanted"], MET[c["met"]]]
                    for c in results["comparisons"]
                ],
            )
        )
    if weights:
        parts.append(
            _table(
                ["row", "load ms", "memory MiB, one worker", "memory MiB, each further worker"],
                [
                    [
                        name,
                        f"{w['load_ms']:,.0f}",
                        f"{w['rss_kib'] / 1024:.1f}",
                        f"{w['rss_per_worker_kib'] / 1024:.1f}",
                    ]
                    for name, w in weights.items()
                ],
            )
        )
    if results["modules"]:
        parts.append(
            _table(
                ["module", "bytes"], [[k, f"{v:,}"] for k, v in results["modules"].items()]
            )
        )
    return "\n\n".join(parts)


def header(results):
    """When, on what, and how the figures were made."""
    made, how = results["made"], results["parameters"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    pinned = ", Envoy under test pinned to one CPU" if how["pinned"] else ""
    return (
        f"Measured {made['date']} on {made['cpus']} CPUs ({made['cpu_model']}), {versions}; "
        f"{how['rounds']} rounds of {how['seconds']} s per row over {how['processes']} processes; "
        f"HTTP/2 on {how['connections']} connections with {how['streams']} streams each, HTTP/1.1 on "
        f"{how['http1_connections']} connections{pinned}; load average of the machine "
        f"{made['load_average']:.1f} at the start, {made['load_average_end']:.1f} at the end."
    )


def write_json(path, results):
    """target/bench/results.json."""
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def write_docs(path, results):
    """Replaces the part of the page between the two marks."""
    text = path.read_text()
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    body = f"{BEGIN}\n\n{header(results)}\n\n{tables(results)}\n\n{END}"
    path.write_text(before + body + after)


def _table(head, rows):
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]

    def line(cells):
        first = cells[0].ljust(widths[0])
        return "| " + " | ".join([first, *(c.rjust(w) for c, w in zip(cells[1:], widths[1:]))]) + " |"

    rule = "|" + "|".join(
        "-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)
    ) + "|"  # fmt: skip
    return "\n".join([line(head), rule, *(line(row) for row in rows)])
