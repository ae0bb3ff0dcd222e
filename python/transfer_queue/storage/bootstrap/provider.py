"""Providers by the name of their backend."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Resources", "StorageBootstrapProvider", "started_for"]

logger = logging.getLogger(__name__)

#: Called with the whole configuration, into which it may write; None where it started nothing.
Provider: TypeAlias = Callable[["DictConfig"], Any]

#: Imported at the first use of the backend they are for.
_BUILT_IN = {
    "mooncakestore": "transfer_queue.storage.bootstrap.mooncake_bootstrap",
    "yuanrong": "transfer_queue.storage.bootstrap.yuanrong_bootstrap",
}


@runtime_checkable
class Resources(Protocol):
    """What a provider has started."""

    def end(self) -> None:
        """Ends exactly that; never raises."""


class StorageBootstrapProvider:
    """Providers, by the name of their backend in any case."""

    _providers: ClassVar[dict[str, Provider]] = {}

    @classmethod
    def register_provider(cls, name: str) -> Callable[[Provider], Provider]:
        """A decorator that makes a function the provider of backend ``name``."""

        def known(provider: Provider) -> Provider:
            cls._providers[name.lower()] = provider
            return provider

        return known

    @classmethod
    def get_provider(cls, name: str) -> Provider | None:
        """The provider of a backend; None where it needs none."""
        wanted = str(name).lower()
        if wanted not in cls._providers and wanted in _BUILT_IN:
            import_module(_BUILT_IN[wanted])
        return cls._providers.get(wanted)


def started_for(conf: DictConfig) -> Any:
    """What the backend of ``conf`` needs, started; None where it needs nothing."""
    name = conf.backend.storage_backend
    provider = StorageBootstrapProvider.get_provider(name)
    if provider is None:
        logger.debug("backend %s needs nothing to be started", name)
        return None
    return provider(conf)
