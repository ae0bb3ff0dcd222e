"""Puts and gets through `transfer_queue`: each call is timed, each value read is checked."""

from collections.abc import Sequence
from typing import Any

import transfer_queue as tq
from tensordict import TensorDict

from columns import Rows, difference, from_tensordict, payload_bytes, to_tensordict
from meter import Meter

Tag = dict[str, Any]


class MismatchError(Exception):
    """What was read is not what had been put."""


class Gateway:
    """Puts and gets rows by key, and remembers what was put for as long as it is stored."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.values_checked = 0
        self._rows: dict[str, dict[str, dict[str, Any]]] = {}
        self._tags: dict[str, dict[str, Tag]] = {}

    def put(
        self, partition: str, keys: Sequence[str], rows: Rows | None, tags: Sequence[Tag]
    ) -> tq.KVBatchMeta:
        """Stores the rows, if any, and merges the tags into those the samples already have."""
        fields = None if rows is None else to_tensordict(rows)
        payload = payload_bytes(rows)
        self._remember(partition, keys, rows or {}, tags)
        with self.meter.timed("put", payload):
            return tq.kv_batch_put(list(keys), partition, fields=fields, tags=list(tags))

    def get(self, partition: str, keys: Sequence[str], fields: Sequence[str]) -> Rows:
        """The rows of these keys, found equal to what was put."""
        with self.meter.timed("get", self._stored_bytes(partition, keys, fields)):
            batch = tq.kv_batch_get(list(keys), partition, select_fields=list(fields))
        return self._checked(partition, keys, fields, batch)

    def get_by_meta(self, meta: tq.KVBatchMeta, fields: Sequence[str]) -> Rows:
        """As `get`, for the samples of a handle that an earlier put returned."""
        partition = str(meta.partition_id)
        with self.meter.timed("get", self._stored_bytes(partition, meta.keys, fields)):
            batch = tq.kv_batch_get_by_meta(meta, select_fields=list(fields))
        return self._checked(partition, meta.keys, fields, batch)

    def tags(self, partition: str) -> dict[str, Tag]:
        """Key and tag of every sample in the partition, found equal to what was put."""
        found: dict[str, Tag] = tq.kv_list(partition).get(partition, {})
        put = self._tags.get(partition, {})
        self._check(difference(put, found), f"a tag of partition {partition!r}")
        self.values_checked += len(found)
        return found

    def clear(self, partition: str) -> None:
        """Deletes every sample of the partition and makes sure that none is listed any more."""
        tq.kv_clear(list(self._tags.pop(partition)), partition)
        del self._rows[partition]
        self.tags(partition)

    def _remember(
        self, partition: str, keys: Sequence[str], rows: Rows, tags: Sequence[Tag]
    ) -> None:
        stored = self._rows.setdefault(partition, {})
        stored_tags = self._tags.setdefault(partition, {})
        for row, key in enumerate(keys):
            stored.setdefault(key, {}).update({field: rows[field][row] for field in rows})
            stored_tags.setdefault(key, {}).update(tags[row])

    def _stored_bytes(self, partition: str, keys: Sequence[str], fields: Sequence[str]) -> int:
        stored = self._rows[partition]
        return sum(payload_bytes(stored[key][field]) for key in keys for field in fields)

    def _checked(
        self, partition: str, keys: Sequence[str], fields: Sequence[str], batch: TensorDict
    ) -> Rows:
        rows = from_tensordict(batch)
        if rows.keys() != set(fields):
            self._check(
                f"asked for {sorted(fields)}, got {sorted(rows)}", "the field set of the batch"
            )
        stored = self._rows[partition]
        for field in fields:
            self._check(difference(len(keys), len(rows[field])), f"the row count of {field!r}")
            for key, got in zip(keys, rows[field], strict=True):
                found = difference(stored[key][field], got)
                self._check(found, f"field {field!r} of sample {key!r}")
                self.values_checked += 1
        return rows

    def _check(self, found: str | None, what: str) -> None:
        if found is not None:
            where = f"step {self.meter.step}, stage {self.meter.stage}"
            raise MismatchError(f"{where}: {what} is not what was put: {found}")
