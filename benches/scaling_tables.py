"""The tables of docs/scaling.md, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from scaling_model import (
    CALLS,
    HELD_OUT,
    Cost,
    Job,
    Request,
    calls,
    fit_all,
    host_seconds,
    job,
    lock_seconds,
)

JOBS = [
    job("64 nodes, 1,024 workers, 256 GB a step", 64, 1024, 256e9),
    job("64 nodes, 8,192 clients, 2 TB a step", 64, 8192, 2e12),
    job("64 nodes, 65,536 workers, 2 TB a step", 64, 65536, 2e12),
]
#: Of the host's tables: fields of the batches that guests put and get there.
HOST_FIELDS = 4
#: Bytes a second of a node's network, each way: 200 Gbit/s, of which four fifths are had.
NODE_BYTES_PER_S = 20e9


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [" | ".join(head), " | ".join(["---"] + ["---:"] * (len(head) - 1))]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def digits(value: float) -> str:
    """Three digits, and no more zeros than needed."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def us(seconds: float) -> str:
    return digits(seconds * 1e6)


def percent(part: float) -> str:
    return f"{part:.0%}"


def seconds_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**line, "seconds": line["us"] / 1e6} for line in lines if "point" in line]


def control_costs(record: dict[str, Any], value: str) -> dict[str, Cost]:
    """The cost of guests' calls: CPU time of the controller's process, or bytes on the wire."""

    def of(line: dict[str, Any]) -> float:
        return line["host_s"][0] if value == "host_s" else line[value]

    points = [
        {"point": line["kind"], "rows": line["rows"], "fields": HOST_FIELDS, "seconds": of(line)}
        for line in record["control"]
    ]
    return fit_all(points, HELD_OUT)


class Fits:
    """The model's numbers."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.warm = fit_all(seconds_of(record["warm"]), HELD_OUT)
        self.cold = fit_all(seconds_of(record["cold"]), HELD_OUT)
        self.host = control_costs(record, "host_s")
        self.wire = control_costs(record, "wire_bytes")


def where(record: dict[str, Any]) -> str:
    found = record["environment"]
    return (
        f"{record['date']}, commit {record['commit']}: {found['cpu']}, {found['cores']} cores, "
        f"{found['memory_gib']} GiB, Linux {found['kernel']}; load {found['load_before']} before, "
        f"{found['load_after']} after, most of it of others."
    )


def controller_table(fits: Fits) -> str:
    def row(kind: str, caches: str, cost: Cost) -> list[str]:
        terms = [cost.fixed, cost.per_field, cost.per_row, cost.per_cell]
        return [f"{kind}, {caches}", *map(us, terms), *map(percent, cost.errors)]

    rows = [
        row(kind, caches, costs[kind])
        for kind in fits.warm
        for caches, costs in (("warm", fits.warm), ("cold", fits.cold))
    ]
    head = ["µs", "fixed", "per field", "per row", "per row and field", "error", "at most"]
    return table(head, rows)


def host_table(fits: Fits) -> str:
    rows = []
    for kind, cost in fits.host.items():
        wire = fits.wire[kind]
        terms = [us(cost.fixed), us(cost.per_row), f"{wire.fixed:.0f}", f"{wire.per_row:.1f}"]
        rows.append(
            [kind, *terms, *(percent(error) if cost.errors[1] else "" for error in cost.errors)]
        )
    head = ["call", "µs, fixed", "µs per row", "bytes, fixed", "bytes per row", "error", "at most"]
    return table(head, rows)


def payload_table(record: dict[str, Any]) -> str:
    rows = []
    for line in record["payload"]:
        gib = line["rows"] * line["row_bytes"] / 2**30
        cells = [line["host_s"][0] / gib, line["guest_s"] / gib, gib / line["wall_s"]]
        rows.append([line["kind"], *map(digits, cells), f"{line['wire_bytes'] / gib / 2**30:.3f}"])
    head = ["over TCP", "unit, CPU s per GiB", "guest, CPU s per GiB", "GiB/s", "bytes per byte"]
    return table(head, rows)


def samples_table(record: dict[str, Any]) -> str:
    by_held: dict[int, dict[str, Any]] = {}
    for line in record["samples"]:
        if "memory" in line:
            by_held[line["memory"]] = {"memory": line["bytes_per_sample"]}
        else:
            by_held[line["held"]][line["point"]] = line["us"] / line["rows"] * 1000
    kinds = ["put", "get", "claim", "locate", "put_fields", "clear", "list"]
    rows = [
        [f"{held:,}", *(digits(found[kind]) for kind in kinds), f"{found['memory']:.0f}"]
        for held, found in by_held.items()
    ]
    return table(["samples held", *(f"{kind}, ns" for kind in kinds), "bytes"], rows)


def clients_table(record: dict[str, Any], fits: Fits) -> str:
    rows = []
    totals = [0.0, 0.0, 0.0]
    for line in record["clients"]:
        if "kind" not in line:
            continue
        size, count = (line["rows"], line["fields"]), line["count"]
        found = line["busy_s"] / count
        name = f"{line['kind']}, {size[0]:,} x {size[1]}"
        spread = [digits(line[part]) for part in ("p50_us", "p99_us", "max_us")]
        if line["kind"] not in fits.warm:
            rows.append([name, f"{count:,}", "", us(found), "", *spread])
            continue
        warm, cold = (costs[line["kind"]].of(*size) for costs in (fits.warm, fits.cold))
        for place, value in enumerate((warm, found, cold)):
            totals[place] += value * count
        rows.append([name, f"{count:,}", us(warm), us(found), us(cold), *spread])
    rows.append(["all, s", "", *map(digits, totals), "", "", ""])
    head = ["rows x fields", "requests", "warm, µs", "**found, µs**", "cold, µs"]
    (whole,) = (line for line in record["clients"] if "requests_per_s" in line)
    rate = whole["requests"] / whole["busy_s"]
    summary = (
        f"{whole['requests']:,} requests kept the controller busy for {digits(whole['busy_s'])} s: "
        f"**{rate:,.0f} a second**."
    )
    return table([*head, "p50", "p99", "max"], rows) + f"\n\n{summary}"


def rates_table(record: dict[str, Any]) -> str:
    (whole,) = (line for line in record["clients"] if "requests_per_s" in line)
    rows = [
        [percent(line["load"]), f"{line['load'] * whole['requests'] / whole['busy_s']:,.0f}"]
        + [digits(line[part] / 1000) for part in ("p50_us", "p99_us", "max_us")]
        for line in record["clients"]
        if "load" in line
    ]
    head = ["controller busy", "requests per s", "p50, ms", "p99, ms", "max, ms"]
    return table(head, rows)


def crowd_table(record: dict[str, Any], fits: Fits) -> str:
    *guests, found = record["crowd"]
    predicted = sum(line["calls"] * fits.host[line["kind"]].of(line["rows"], 4) for line in guests)
    count = sum(line["calls"] for line in guests)
    cells = [f"{count:,}", digits(predicted), digits(found["host_s"])]
    error = f"{predicted / found['host_s'] - 1:+.0%}"
    head = ["guests at once", "calls", "predicted, CPU s", "found, CPU s", "error"]
    return table(head, [[len(guests), *cells, error]])


def wire_bytes(requests: list[Request], wire: dict[str, Cost]) -> float:
    return sum(
        request.count * wire[CALLS.get(request.kind, "ask")].of(request.rows, 4)
        for request in requests
    )


def prediction(job: Job, record: dict[str, Any], fits: Fits) -> list[str]:
    lock = [lock_seconds(job.requests, costs) for costs in (fits.warm, fits.cold)]
    # The host's points are of a small controller with warm caches; a large one takes more.
    cpu = [
        host_seconds(job.requests, fits.host, fits.warm) + more for more in (0.0, lock[1] - lock[0])
    ]
    (memory,) = (
        line["bytes_per_sample"] for line in record["samples"] if line.get("memory") == 1_000_000
    )
    elsewhere = 1 - 1 / job.nodes
    node = job.step_bytes * job.reads * elsewhere / job.nodes
    unit, guest = (
        value / (line["rows"] * line["row_bytes"])
        for line in record["payload"]
        if line["kind"] == "get"
        for value in (line["host_s"][0], line["guest_s"])
    )
    return [
        f"{job.samples:,}",
        f"{calls(job.requests):,.0f}",
        f"{digits(lock[0])} to {digits(lock[1])} s",
        f"{digits(cpu[0])} to {digits(cpu[1])} s",
        f"{digits(cpu[0] / 2)} to {digits(cpu[1] / 2)} s",
        f"{digits(calls(job.requests) / cpu[1] * 2)} to {digits(calls(job.requests) / cpu[0] * 2)}",
        f"{digits(wire_bytes(job.requests, fits.wire) / 1e9)} GB",
        # Nine fields where four were measured; two steps are in flight, and one is cleared.
        f"{digits(memory * 9 / 4 * job.samples * 3 / 1e9)} GB",
        f"{digits(job.step_bytes / job.samples / 1e6)} MB",
        f"{digits(job.step_bytes / job.nodes / 1e9)} GB",
        f"{digits(node / 1e9)} GB",
        f"{digits(node / NODE_BYTES_PER_S)} s",
        f"{digits(node * unit)} + {digits(node * guest)} s",
    ]


def prediction_table(record: dict[str, Any], fits: Fits) -> str:
    names = [
        "samples",
        "requests to the controller",
        "controller busy (its lock)",
        "CPU of the controller's process",
        "time at 2 threads",
        "requests per s at 2 threads",
        "control traffic at the controller",
        "memory of the controller, at most",
        "bytes of a sample",
        "payload put per node",
        "payload over the network, per node and way",
        "time of that at 20 GB/s",
        "CPU of that, unit + guests, per node",
    ]
    columns = [prediction(job, record, fits) for job in JOBS]
    return table(["per step", *(job.name for job in JOBS)], zip(names, *columns, strict=True))


def tables(record: dict[str, Any]) -> dict[str, str]:
    """Each table of the page by its name."""
    fits = Fits(record)
    return {
        "where": where(record),
        "controller": controller_table(fits),
        "host": host_table(fits),
        "payload": payload_table(record),
        "samples": samples_table(record),
        "clients": clients_table(record, fits),
        "rates": rates_table(record),
        "crowd": crowd_table(record, fits),
        "prediction": prediction_table(record, fits),
    }
