"""How much is measured: minutes with `make bench`, an hour and more with `make bench-full`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["SCALES", "Scale"]

MIB = 1 << 20


@dataclass(frozen=True)
class Scale:
    """Sizes and repetitions of all scenarios."""

    #: Sessions of each system.
    rounds: int
    #: Steps of the training step, and prompts of each.
    steps: int
    prompts: int
    #: Bytes of a batch, with how often each is put and got.
    sizes: dict[int, int]
    #: Kinds that are measured at the largest size.
    large_kinds: tuple[str, ...]
    #: Bytes of the batch that is put beside a backend's own calls, and how often.
    raw: tuple[int, int]
    #: Bytes of the batch that is cut into fields.
    fields_bytes: int
    #: Single samples whose latency is measured.
    singles: int
    #: Keys of a batch, with how often each is put and got.
    keys: dict[int, int]
    #: Wakes that are measured.
    wakes: int
    #: Threads that work at once, and for how long.
    clients: tuple[int, ...]
    client_seconds: float
    #: Connections held at once, of our own program only.
    connections: tuple[int, ...]
    #: Bytes that stay stored while memory is measured, and cycles of put and clear.
    memory_bytes: int
    cycles: int
    #: Samples a partition grows to.
    growth: tuple[int, ...]
    #: Scenarios that a system is not asked for at this scale, and why.
    left_out: Mapping[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)


ELSEWHERE = "in `make bench-full`: here it is measured with the package's own storage or client"
ALL_KINDS = ("dense", "jagged", "image dicts", "strings", "mixed")

SCALES = {
    "smoke": Scale(
        rounds=1,
        steps=1,
        prompts=2,
        sizes={MIB: 2},
        large_kinds=ALL_KINDS,
        raw=(MIB, 2),
        fields_bytes=MIB,
        singles=20,
        keys={100: 2},
        wakes=5,
        clients=(1, 4),
        client_seconds=0.3,
        connections=(8,),
        memory_bytes=16 * MIB,
        cycles=3,
        growth=(1_000, 2_000),
    ),
    "quick": Scale(
        rounds=1,
        steps=10,
        prompts=16,
        sizes={MIB: 9, 64 * MIB: 3, 512 * MIB: 2},
        large_kinds=("dense", "image dicts"),
        raw=(256 * MIB, 5),
        fields_bytes=128 * MIB,
        singles=150,
        keys={1_000: 2, 10_000: 2},
        wakes=30,
        clients=(1, 8, 64),
        client_seconds=1.5,
        connections=(64, 1024),
        memory_bytes=128 * MIB,
        cycles=15,
        growth=(1_000, 10_000, 100_000, 1_000_000),
        left_out={
            "ours_ray": (
                ("memory", "fields", "keys", "clients", "growth"),
                "in `make bench-full`: only where the engine runs differs from ours without Ray",
            ),
            "torchstore": (
                ("memory", "fields", "keys", "growth"),
                "in `make bench-full`: a call per value takes minutes",
            ),
            "one_driver": (
                ("memory", "transfer", "fields", "keys", "clients", "growth"),
                "in `make bench-full`: it is what a training step is compared with",
            ),
            "pypi_mooncake": (("memory", "raw", "fields", "growth"), ELSEWHERE),
            **dict.fromkeys(
                ("ours_mooncake", "ours_yuanrong", "pypi_yuanrong"),
                (("memory", "fields", "growth"), ELSEWHERE),
            ),
        },
    ),
    "full": Scale(
        rounds=3,
        steps=10,
        prompts=64,
        sizes={MIB: 15, 64 * MIB: 7, 1024 * MIB: 5, 4096 * MIB: 2},
        large_kinds=("dense", "image dicts"),
        raw=(1024 * MIB, 5),
        fields_bytes=512 * MIB,
        singles=500,
        keys={1_000: 5, 10_000: 5, 100_000: 2},
        wakes=200,
        clients=(1, 8, 64, 512),
        client_seconds=5.0,
        connections=(1, 8, 64, 512, 4_096, 8_192),
        memory_bytes=1024 * MIB,
        cycles=500,
        growth=(1_000, 10_000, 100_000, 1_000_000),
    ),
}
