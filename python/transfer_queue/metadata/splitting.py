"""The sizes `chunk` cuts a batch into."""

from __future__ import annotations

from collections.abc import Iterator


def chunk_slices(size: int, chunks: int) -> Iterator[slice]:
    """Cut `size` rows into exactly `chunks` runs whose lengths differ by at most one.

    The first `size % chunks` runs get the extra row; with more chunks than rows the last are empty.

    Raises:
        ZeroDivisionError: `chunks` is 0.
        ValueError: `chunks` is negative.

    """
    if chunks == 0:
        raise ZeroDivisionError(f"Cannot cut {size} samples into 0 chunks; ask for at least 1")
    if chunks < 0:
        raise ValueError(f"Cannot cut {size} samples into {chunks} chunks; ask for at least 1")
    return _runs(size, chunks)


def _runs(size: int, chunks: int) -> Iterator[slice]:
    length, longer = divmod(size, chunks)
    start = 0
    for number in range(chunks):
        stop = start + length + (number < longer)
        yield slice(start, stop)
        start = stop
