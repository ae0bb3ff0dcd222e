"""The parts of a `BatchMeta` that belong to its users: extra_info and custom_meta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transfer_queue.metadata.rows import (
    Row,
    deep_copy_dict,
    deep_copy_rows,
    peek_rows,
    store_rows,
)
from transfer_queue.metadata.state import BatchState


class UserInfo(BatchState):
    """Reading and changing extra_info (of the batch) and custom_meta (of each sample)."""

    __slots__ = ()

    def get_extra_info(self, key: str, default: Any = None) -> Any:
        """The value itself, not a copy; `default` where the key is absent."""
        return self.extra_info.get(key, default)

    def get_all_extra_info(self) -> dict[str, Any]:
        """A deep copy of extra_info."""
        return deep_copy_dict(self.extra_info, {})

    def has_extra_info(self, key: str) -> bool:
        """Whether extra_info has the key."""
        return key in self.extra_info

    def set_extra_info(self, key: str, value: Any) -> None:
        """Set one key of extra_info."""
        self.extra_info[key] = value

    def update_extra_info(self, info_dict: dict[str, Any]) -> None:
        """Set several keys of extra_info."""
        self.extra_info.update(info_dict)

    def remove_extra_info(self, key: str) -> Any:
        """Remove a key; returns its value, or None where it was absent."""
        return self.extra_info.pop(key, None)

    def clear_extra_info(self) -> None:
        """Remove all keys."""
        self.extra_info.clear()

    def get_all_custom_meta(self) -> list[Row]:
        """A deep copy of custom_meta, length B."""
        rows = deep_copy_rows(peek_rows(self, "custom_meta"))
        return rows if rows is not None else [{} for _ in range(self._size)]

    def update_custom_meta(self, custom_meta: Sequence[Row] | None) -> None:
        """Update each sample's dict with the one given for it; None changes nothing.

        Raises:
            ValueError: other than B dicts are given; nothing has changed then.

        """
        if custom_meta is None:
            return
        if len(custom_meta) != self._size:
            raise ValueError(
                f"The length of custom_meta list {len(custom_meta)} must match the batch size: "
                f"{self._size}; give {{}} for samples that do not change"
            )
        for row, update in zip(self.custom_meta, custom_meta, strict=True):
            row.update(update)

    def clear_custom_meta(self) -> None:
        """Give every sample a new empty dict."""
        store_rows(self, "custom_meta", None)
