"""Seconds until a process can put: the import of the package, and ``init``.

PyTorch and tensordict, which both packages need, are imported before the clock starts.
"""

from __future__ import annotations

import tensordict  # noqa: F401
import torch  # noqa: F401

from gateway import prepare
from measure import Results, is_ours, out_path, timed


def import_package() -> None:
    """Imports the package under measurement."""
    import transfer_queue  # noqa: F401


def main() -> None:
    out = out_path(__doc__)
    results = Results("startup")
    results.add("import, beside PyTorch", [timed(import_package)])

    # Ray is up before the clock runs: in a job it is there already.
    prepare()
    import transfer_queue as tq

    results.add("init", [timed(tq.init)])
    tq.kv_put(key="first", partition_id="startup", tag={"number": 1})
    assert tq.kv_list(partition_id="startup") == {"startup": {"first": {"number": 1}}}
    results.add("close", [timed(tq.close)])
    if not is_ours():
        import ray

        ray.shutdown()
    results.write(out)


if __name__ == "__main__":
    main()
