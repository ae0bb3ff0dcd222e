"""One value of more than 4 GiB, where 32-bit lengths would end."""

import mmap

import pytest
import torch

from transfer_queue.utils.serial_utils import batch_decode_from, batch_encode_into

GIB = 1 << 30
LENGTH = 4 * GIB + GIB // 2
#: Around each power of two that a shorter integer could not tell, and at both ends.
MARKS = [0, 1, 2 * GIB - 1, 2 * GIB, 4 * GIB - 1, 4 * GIB, 4 * GIB + 12_345, LENGTH - 1]
NEEDED = 12 * GIB


def available():
    with open("/proc/meminfo", encoding="ascii") as info:  # noqa: PTH123 - no file but a report
        for line in info:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


@pytest.mark.large
@pytest.mark.timeout(300)
def test_a_value_beyond_4_gib_survives():
    if available() < NEEDED:
        pytest.skip(f"needs {NEEDED // GIB} GiB of available memory, found {available() // GIB}")
    # Private pages that nobody wrote to are one page of zeros, so the source takes no memory.
    source = mmap.mmap(-1, LENGTH, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    value = torch.frombuffer(source, dtype=torch.uint8)
    for position in MARKS:
        value[position] = position % 251 + 1
    targets = []

    def allocate(sizes):
        targets.extend(
            mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for size in sizes
        )
        return targets

    buffers, sizes = batch_encode_into([{"big": value, "small": "x"}], allocate, num_workers=2)
    assert LENGTH < sizes[0] < LENGTH + 4_096
    back = batch_decode_from(buffers)[0]
    assert back["small"] == "x"
    assert back["big"].shape == (LENGTH,)
    assert [int(back["big"][position]) for position in MARKS] == [p % 251 + 1 for p in MARKS]
    around = [position + 2 for position in MARKS[:-1] if position + 2 not in MARKS]
    assert not any(int(back["big"][position]) for position in around)
