"""Other processes of the host use the engine of this one."""

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from joining import CONTEXTS, SECONDS, Guest, guest
from tensordict import NonTensorStack, TensorDict

import transfer_queue
from transfer_queue.errors import ForkedProcessError, TransferQueueError, UnavailableError

ROWS = 64
#: Of rows beyond what is sent along with the answer, and below it.
WIDTHS = pytest.mark.parametrize("width", [4, 20_000])


def batch(width, first=0):
    """Columns of every layout."""
    numbers = torch.arange(first, first + ROWS)
    ragged = [torch.full((1 + row % 5, 3), first + row) for row in range(ROWS)]
    return TensorDict(
        {
            "dense": numbers.view(-1, 1).repeat(1, width).float(),
            "scalar": numbers,
            "ragged": torch.nested.as_nested_tensor(ragged, layout=torch.jagged),
            "object": NonTensorStack(
                *[{"row": first + row, "image": torch.full((width,), row)} for row in range(ROWS)]
            ),
        },
        batch_size=ROWS,
    )


def keys(first=0):
    return [f"k{first + row}" for row in range(ROWS)]


def check(read, width, rows, first=0):
    for position, row in enumerate(rows):
        number = first + row
        assert read["dense"].unbind()[position].tolist() == [float(number)] * width
        assert int(read["scalar"][position]) == number
        assert torch.equal(read["ragged"].unbind()[position], torch.full((1 + row % 5, 3), number))
        found = read.get("object").tolist()[position]
        assert found["row"] == number
        assert torch.equal(found["image"], torch.full((width,), row))


def read_and_put(width):
    import transfer_queue as tq

    order = list(range(ROWS))[::-1]
    check(tq.kv_batch_get(keys()[::-1], "p"), width, order)
    whole = tq.kv_batch_get(keys(), "p")
    check(whole, width, range(ROWS))
    whole["dense"].values().fill_(-1)
    tq.kv_batch_put(keys(ROWS), "p", batch(width, ROWS), [{"by": os.getpid()}] * ROWS)
    check(tq.kv_batch_get(keys(), "p"), width, range(ROWS))
    client = tq.get_client() if tq.interface._TQ_CLIENT else None
    return os.getpid(), client.engine.is_here


@CONTEXTS
@WIDTHS
def test_what_one_process_puts_another_reads(tq, context, width):
    tq.kv_batch_put(keys(), "p", batch(width))
    pid, is_here = guest(context, read_and_put, width)
    assert not is_here
    check(tq.kv_batch_get(keys(), "p"), width, range(ROWS))
    check(tq.kv_batch_get(keys(ROWS), "p"), width, range(ROWS), ROWS)
    assert tq.kv_list("p")["p"][f"k{ROWS}"] == {"by": pid}


def metadata_calls():
    import transfer_queue as tq

    conf = tq.init()
    client = tq.get_client()
    meta = client.put(TensorDict({"x": torch.arange(10)}, batch_size=10), partition_id="m")
    taken = client.get_meta(["x"], 4, "m", task_name="t")
    assert client.get_data(taken)["x"].tolist() == [0, 1, 2, 3]
    taken.update_custom_meta([{"seen": True}] * 4)
    client.set_custom_meta(taken)
    assert client.get_production_status(["x"], "m")[1].sum() == 10
    selection = tq.kv_select("p", "n >= 3", claim_for="t", limit=2)
    waited = tq.kv_wait("p", tags="n == 5", timeout=5)
    return conf.controller.polling_mode, len(meta), selection.meta.keys, waited.keys


@CONTEXTS
def test_the_control_plane_is_the_same_from_another_process(tq, context):
    for number in range(6):
        tq.kv_put(f"k{number}", "p", tag={"n": number})
    assert guest(context, metadata_calls) == (False, 10, ["k3", "k4"], ["k5"])
    client = tq.get_client()
    indexes, consumed = client.get_consumption_status("t", "m")
    assert consumed.tolist() == [1] * 4 + [0] * 6
    assert client.get_meta(["x"], 6, "m", task_name="t").global_indexes == indexes[4:].tolist()


def clients_of_a_fork():
    import transfer_queue as tq

    parents = tq.interface._TQ_CLIENT
    with pytest.raises(ForkedProcessError):
        parents.get_partition_list()
    return tq.get_client().get_partition_list(), tq.get_client() is parents


def test_a_forked_child_gets_a_client_of_its_own(tq):
    tq.kv_put("a", "p", tag={"n": 1})
    assert guest("fork", clients_of_a_fork) == (["p"], False)


def wait_then_put():
    import transfer_queue as tq

    client = tq.init() and tq.get_client()
    meta = client.get_meta(["x"], 2, "there", task_name="t", timeout=SECONDS)
    tq.kv_put("answer", "here", {"x": client.get_data(meta)["x"].sum()})


@CONTEXTS
def test_waits_are_woken_by_puts_of_another_process(tq, context):
    waiting = Guest(context, wait_then_put)
    tq.kv_put("a", "there", {"x": torch.tensor(20)})
    tq.kv_put("b", "there", {"x": torch.tensor(22)})
    tq.kv_wait("here", ["answer"], ["x"], timeout=SECONDS)
    assert int(tq.kv_batch_get("answer", "here")["x"]) == 42
    waiting.result()


def leave():
    import transfer_queue as tq

    tq.init()
    tq.kv_put("a", "p", tag={"n": 1})
    tq.close()


@CONTEXTS
def test_a_guest_that_closes_leaves_the_engine_alone(tq, context):
    guest(context, leave)
    assert tq.kv_list() == {"p": {"a": {"n": 1}}}


def leave_and_join_again():
    import transfer_queue as tq

    first = tq.init() and tq.get_client().engine.info.id
    tq.close()
    tq.init()
    return first, tq.get_client().engine.info.id


@CONTEXTS
def test_a_guest_that_has_left_joins_again(tq, context):
    mine = tq.get_client().engine.info.id
    assert guest(context, leave_and_join_again) == (mine, mine)


def hold_and_sleep(ready):
    import time

    import transfer_queue as tq

    held = tq.kv_batch_get(keys(), "p")
    ready.put(float(held["dense"].values().sum()))
    time.sleep(SECONDS)


def test_a_guest_that_is_killed_gives_back_what_it_held(tq):
    import multiprocessing

    tq.kv_batch_put(keys(), "p", batch(20_000))
    ready = multiprocessing.get_context("fork").SimpleQueue()
    holder = Guest("fork", hold_and_sleep, ready)
    ready.get()
    tq.kv_clear(keys(), "p")
    usage = tq.get_client().usage
    assert usage()["leased_bytes"] > 0
    holder.kill()
    # Another guest's session begins after the end of this one was seen, or soon after.
    for _ in range(SECONDS * 20):
        if usage()["leased_bytes"] == 0:
            break
        guest("fork", leave)
    assert usage()["leased_bytes"] == 0


def claim_and_sleep(ready):
    import time

    import transfer_queue as tq

    tq.init()
    ready.put(tq.get_client().get_meta(["x"], 3, "p", task_name="t").global_indexes)
    time.sleep(SECONDS)


def test_the_claims_of_a_consumer_that_died_can_be_seen_and_taken_back(tq):
    import multiprocessing

    client = tq.get_client()
    client.put(TensorDict({"x": torch.arange(5)}, batch_size=5), partition_id="p")
    ready = multiprocessing.get_context("fork").SimpleQueue()
    consumer = Guest("fork", claim_and_sleep, ready)
    claimed = ready.get()
    consumer.kill()
    indexes, consumed = client.get_consumption_status("t", "p")
    assert indexes[consumed == 1].tolist() == claimed
    assert client.reset_consumption("p", "t", claimed[:2])
    again = client.get_meta(["x"], 4, "p", task_name="t", timeout=SECONDS)
    assert sorted(again.global_indexes) == sorted(set(indexes.tolist()) - {claimed[2]})


def outlive(ready, go):
    import transfer_queue as tq

    tq.init()
    tensor = tq.kv_batch_get(keys(), "p")["dense"]
    ready.put(True)
    go.get()
    readable = float(tensor.values()[0])
    try:
        tq.kv_list()
    except TransferQueueError as error:
        return readable, type(error).__name__
    return readable, "no error"


def test_when_the_host_ends_guests_get_an_error_and_keep_what_they_read():
    import multiprocessing

    transfer_queue.close()
    transfer_queue.init()
    transfer_queue.kv_batch_put(keys(), "p", batch(20_000))
    context = multiprocessing.get_context("fork")
    ready, go = context.SimpleQueue(), context.SimpleQueue()
    other = Guest("fork", outlive, ready, go)
    ready.get()
    transfer_queue.close()
    go.put(True)
    readable, error = other.result()
    assert readable == 0.0
    assert error in ("UnavailableError", "ClosedError")


def script(source, **environment):
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_unrelated_process_joins_by_address(tq):
    tq.kv_put("a", "p", tag={"n": 1})
    address = tq.get_client().engine.address
    assert address is not None
    source = "import transfer_queue as tq; print(tq.kv_list())"
    alone = {"TQ_PARENT_ADDRESS": ""}
    assert script(source, TQ_ADDRESS=address, **alone) == "{'p': {'a': {'n': 1}}}"
    given = f"import transfer_queue as tq; tq.init(address={address!r}); print(tq.kv_list())"
    assert script(given, **alone) == "{'p': {'a': {'n': 1}}}"
    own = "import transfer_queue as tq; tq.init(); print(tq.kv_list())"
    assert script(own, **alone) == "{}"


def test_an_address_where_nobody_answers_is_an_error(tq, tmp_path):
    tq.close()
    with pytest.raises(UnavailableError, match="no host answers"):
        tq.init(address=f"unix:{tmp_path}")
    assert tq.interface._TQ_CLIENT is None


def test_sockets_are_this_users_alone_and_go_with_the_engine(tq):
    directory = Path(tq.get_client().engine.address.removeprefix("unix:"))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for entry in directory.iterdir():
        assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    tq.close()
    assert not directory.exists()


def test_an_engine_that_is_not_closed_leaves_no_sockets():
    source = "import transfer_queue as tq; tq.init(); print(tq.get_client().engine.address)"
    address = script(source, TQ_PARENT_ADDRESS="")
    assert not Path(address.removeprefix("unix:")).exists()


def test_another_engine_leaves_the_sockets_of_the_living_alone_and_removes_those_of_the_dead(tq):
    living = Path(tq.get_client().engine.address.removeprefix("unix:"))
    source = """
        import os
        import transfer_queue as tq
        tq.init()
        print(tq.get_client().engine.address, flush=True)
        os._exit(0)
    """
    alone = {"TQ_PARENT_ADDRESS": ""}
    dead = Path(script(textwrap.dedent(source), **alone).removeprefix("unix:"))
    assert dead.exists()
    for directory in (living, dead):
        os.utime(directory, (1, 1))
    script("import transfer_queue as tq; tq.init()", **alone)
    assert not dead.exists()
    assert guest("spawn", clients_of_a_spawn) == ([], str(living))


def clients_of_a_spawn():
    import transfer_queue as tq

    tq.init()
    client = tq.get_client()
    return client.get_partition_list(), client.engine.address.removeprefix("unix:")


def put_many(number):
    import transfer_queue as tq

    tq.init()
    for turn in range(20):
        names = [f"{number}_{turn}_{row}" for row in range(8)]
        value = torch.full((8, 5_000), number * 100 + turn)
        tq.kv_batch_put(names, "many", TensorDict({"x": value}, batch_size=8))
        read = tq.kv_batch_get(names, "many")["x"]
        assert all(bool((row == number * 100 + turn).all()) for row in read.unbind())
        if turn % 2:
            tq.kv_clear(names, "many")
    return number


def test_many_guests_at_once(tq):
    guests = [Guest("fork", put_many, number) for number in range(8)]
    assert [other.result() for other in guests] == list(range(8))
    left = tq.kv_list("many")["many"]
    assert len(left) == 8 * 10 * 8
    for number in range(8):
        read = tq.kv_batch_get([f"{number}_4_{row}" for row in range(8)], "many")["x"]
        assert all(bool((row == number * 100 + 4).all()) for row in read.unbind())
