"""Values by field and global index."""

import pytest

from transfer_queue.errors import CapacityExceededError, StorageKeyNotFoundError
from transfer_queue.storage.simple_storage import KEY_NOT_FOUND_MARKER, StorageUnitData


def test_what_is_put_is_got_in_the_order_asked_for():
    unit = StorageUnitData()
    unit.put_data({"a": [1, 2], "b": ["x", "y"]}, [7, 9])
    unit.put_data({"a": [3]}, [9])
    assert unit.get_data(["a", "b"], [9, 7]) == {"a": [3, 1], "b": ["y", "x"]}
    assert unit.active_key_count == 2
    assert unit.field_data == {"a": {7: 1, 9: 3}, "b": {7: "x", 9: "y"}}


def test_only_new_samples_count_against_the_capacity():
    unit = StorageUnitData(2)
    unit.put_data({"a": [1, 2]}, [0, 1])
    unit.put_data({"a": [3, 4], "b": [5, 6]}, [0, 1])
    with pytest.raises(CapacityExceededError, match="Storage capacity exceeded"):
        unit.put_data({"a": [0, 7]}, [0, 2])
    assert unit.get_data(["a"], [0, 1]) == {"a": [3, 4]}
    unit.clear([0])
    unit.put_data({"a": [8]}, [2])
    assert unit.active_key_count == 2


def test_values_that_do_not_match_the_samples_are_refused_whole():
    unit = StorageUnitData()
    with pytest.raises(ValueError, match="length mismatch"):
        unit.put_data({"a": [1, 2], "b": [1]}, [0, 1])
    assert unit.field_data == {}
    assert unit.active_key_count == 0


def test_what_is_not_there_is_an_error():
    unit = StorageUnitData()
    unit.put_data({"a": [1]}, [0])
    with pytest.raises(ValueError, match=r"'b' not found.*'a'"):
        unit.get_data(["b"], [0])
    with pytest.raises(StorageKeyNotFoundError, match=f"{KEY_NOT_FOUND_MARKER}.*5"):
        unit.get_data(["a"], [0, 5])


def test_clearing_leaves_the_field_and_ignores_strangers():
    unit = StorageUnitData()
    unit.put_data({"a": [1, 2]}, [0, 1])
    unit.clear([1, 99])
    assert unit.field_data == {"a": {0: 1}}
    unit.clear([0])
    assert unit.field_data == {"a": {}}
    with pytest.raises(KeyError):
        unit.get_data(["a"], [0])
