"""The model of docs/scaling.md: what calls cost, fitted to points, and what steps add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: Sizes that are measured but not fitted to.
HELD_OUT = {24, 500, 1024}
Point = tuple[int, int, float]


@dataclass(frozen=True)
class Cost:
    """``fixed + per_field * fields + (per_row + per_cell * fields) * rows``."""

    fixed: float
    per_field: float
    per_row: float
    per_cell: float
    #: Median and largest relative error on points that were not fitted to.
    errors: tuple[float, float] = (0.0, 0.0)

    def of(self, rows: int, fields: int) -> float:
        return self.fixed + self.per_field * fields + (self.per_row + self.per_cell * fields) * rows


def _terms(points: Sequence[Point], with_fields: bool) -> np.ndarray:
    rows = np.array([point[0] for point in points], dtype=float)
    fields = np.array([point[1] for point in points], dtype=float)
    one, none = np.ones_like(rows), np.zeros_like(rows)
    with_rows = len(set(rows)) > 1
    if not with_rows:
        columns = (one, none, none, none)
    else:
        columns = (one, fields, rows, rows * fields) if with_fields else (one, none, rows, none)
    return np.stack(columns, axis=1)


def fitted(points: Sequence[Point], held_out: set[int]) -> Cost:
    """Least squares of the relative errors; no term may be negative, as no work takes time away."""
    used = [point for point in points if point[0] not in held_out]
    with_fields = len({point[1] for point in points}) > 1
    terms = _terms(used, with_fields)
    times = np.array([point[2] for point in used])
    kept = [place for place in range(4) if terms[:, place].any()]
    while True:
        scaled = terms[:, kept] / times[:, None]
        found, *_ = np.linalg.lstsq(scaled, np.ones(len(used)), rcond=None)
        if (found >= 0).all():
            break
        kept.remove(kept[int(np.argmin(found))])
    whole = np.zeros(4)
    whole[kept] = found
    cost = Cost(*(float(term) for term in whole))
    errors = [
        abs(cost.of(rows, fields) / time - 1) for rows, fields, time in points if rows in held_out
    ]
    spread = (float(np.median(errors)), max(errors)) if errors else (0.0, 0.0)
    return Cost(*(float(term) for term in whole), errors=spread)


def fit_all(lines: Iterable[dict[str, Any]], held_out: set[int]) -> dict[str, Cost]:
    """A cost in seconds for each kind of point."""
    points: dict[str, list[Point]] = {}
    for line in lines:
        point = (line["rows"], line["fields"], line["seconds"])
        points.setdefault(line["point"], []).append(point)
    return {kind: fitted(found, held_out) for kind, found in points.items()}


@dataclass(frozen=True)
class Request:
    """A kind of request with its size, and how often a step makes it."""

    kind: str
    rows: int
    fields: int
    count: float


@dataclass(frozen=True)
class Job:
    """A reinforcement-learning job, as `clients.rs` of the example `load` plays it."""

    name: str
    nodes: int
    clients: int
    samples: int
    #: Bytes put in a step.
    step_bytes: float
    #: How often a byte that was put is read.
    reads: float = 3.0
    requests: list[Request] = field(default_factory=list)


def requests_of(samples: int) -> list[Request]:
    """What a step of so many samples asks of the controller."""

    def batch(kind: str, rows: int, fields: int) -> Request:
        return Request(kind, rows, fields, samples / rows)

    return [
        batch("put", 1024, 3),
        batch("claim", 32, 3),
        batch("locate", 32, 3),
        batch("put_fields", 8, 4),
        # Rewards and reference log-probabilities.
        *(batch(kind, 64, 2) for kind in ("claim", "locate") for _ in range(2)),
        *(batch("put_fields", 64, 1) for _ in range(2)),
        batch("claim", 1024, 6),
        batch("locate", 1024, 6),
        batch("clear", 1024, 9),
    ]


def job(name: str, nodes: int, clients: int, step_bytes: float) -> Job:
    samples = clients * 64
    return Job(name, nodes, clients, samples, step_bytes, requests=requests_of(samples))


def lock_seconds(requests: Iterable[Request], costs: dict[str, Cost]) -> float:
    """How long the controller is busy with requests."""
    return sum(
        request.count * costs[request.kind].of(request.rows, request.fields) for request in requests
    )


#: Which call of a guest a request comes with. Locations are what a get asks for.
CALLS = {"put": "put", "put_fields": "put", "locate": "get", "claim": "claim"}


def host_seconds(
    requests: Iterable[Request], host: dict[str, Cost], inside: dict[str, Cost]
) -> float:
    """CPU time of the controller's process, messages included.

    A clear was not measured as a call: it is the smallest call, and what it takes inside.
    """
    total = 0.0
    for request in requests:
        cost = host[CALLS.get(request.kind, "ask")]
        total += request.count * cost.of(request.rows, 4)
        if request.kind not in CALLS:
            total += request.count * inside[request.kind].of(request.rows, request.fields)
    return total


def calls(requests: Iterable[Request]) -> float:
    return sum(request.count for request in requests)
