"""What a record holds, asked for by system, scenario and row."""

from __future__ import annotations

import statistics
from typing import Any

__all__ = ["BESIDE", "GROUPS", "TITLES", "Findings", "Row"]

#: What each system is called in tables and charts.
TITLES = {
    "ours": "transferqueue-rs",
    "ours_ray": "transferqueue-rs, Ray",
    "pypi": "TransferQueue 0.1.11",
    "ray": "Ray objects",
    "redis": "Redis",
    "torchstore": "torchstore",
    "one_driver": "one driver",
    "ours_mooncake": "transferqueue-rs, Mooncake",
    "pypi_mooncake": "TransferQueue 0.1.11, Mooncake",
    "ours_yuanrong": "transferqueue-rs, Yuanrong",
    "pypi_yuanrong": "TransferQueue 0.1.11, Yuanrong",
}

#: Systems that share a table: payload of their own, and payload in a backend.
GROUPS = (
    ("ours", "ours_ray", "pypi", "ray", "redis", "torchstore", "one_driver"),
    ("ours_mooncake", "pypi_mooncake", "ours_yuanrong", "pypi_yuanrong"),
)

#: Which of ours stands beside which system: the one on the same backend.
BESIDE = {
    "ours_ray": "ours",
    "pypi": "ours",
    "ray": "ours",
    "redis": "ours",
    "torchstore": "ours",
    "one_driver": "ours",
    "pypi_mooncake": "ours_mooncake",
    "pypi_yuanrong": "ours_yuanrong",
}

Row = dict[str, Any]


class Findings:
    """A record."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.sessions: dict[str, list[dict[str, Any]]] = record["sessions"]

    @property
    def systems(self) -> list[str]:
        """The systems that ran, in the order of the tables."""
        return [system for system in TITLES if self.sessions.get(system)]

    def rows(self, scenario: str) -> list[str]:
        """Names of all rows of a scenario, as they were measured."""
        names: dict[str, None] = {}
        for system in self.systems:
            for session in self.sessions[system]:
                names |= dict.fromkeys(session["scenarios"].get(scenario, {}))
        return list(names)

    def row(self, system: str, scenario: str, name: str) -> list[Row]:
        """A row of each round in which it was measured."""
        found = (
            session["scenarios"].get(scenario, {}).get(name)
            for session in self.sessions.get(system, [])
        )
        return [row for row in found if row is not None and "failed" not in row]

    def values(self, system: str, scenario: str, name: str, what: str = "median") -> list[float]:
        """One statistic of a row, per round."""
        return [row[what] for row in self.row(system, scenario, name) if what in row]

    def median(self, system: str, scenario: str, name: str) -> float | None:
        """The median over the rounds of each round's median."""
        values = self.values(system, scenario, name)
        return statistics.median(values) if values else None

    def reason(self, system: str, scenario: str, name: str) -> str:
        """Why a row is missing."""
        for session in self.sessions.get(system, []):
            row = session["scenarios"].get(scenario, {}).get(name)
            if row is not None and "failed" in row:
                return str(row["failed"])
        return ""

    def problems(self) -> list[tuple[str, str, str]]:
        """System, scenario and reason of all that was left out or failed."""
        found: dict[tuple[str, str, str], None] = {}
        for system in self.systems:
            for session in self.sessions[system]:
                if "failed" in session:
                    found[system, "the session", last_line(session["failed"])] = None
                for scenario, reason in session["left_out"].items():
                    found[system, scenario, last_line(reason)] = None
                for scenario, rows in session["scenarios"].items():
                    for name, row in rows.items():
                        if "failed" in row:
                            found[system, f"{scenario}: {name}", last_line(row["failed"])] = None
        return list(found)


def last_line(text: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:240].replace("|", "/") if lines else ""
