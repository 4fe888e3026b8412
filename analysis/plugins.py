"""What can be chosen by name, each in a file of its own: losses, decoders, backbones and so on."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TypeVar

_Kind = TypeVar("_Kind")


class Plugins(dict[str, _Kind]):
    """Name -> what was registered under it, in the order of the files' names.

    plural: what its entries are, for messages. check: called with a name and what is to be known
    by it; raises ValueError where the two do not fit.
    """

    def __init__(self, plural: str, check: Callable[[str, _Kind], None] | None = None) -> None:
        super().__init__()
        self._plural, self._check = plural, check

    def register(self, name: str) -> Callable[[_Kind], _Kind]:
        """A decorator that makes a class or function known; ValueError where the name is taken."""

        def add(kind: _Kind) -> _Kind:
            if name in self:
                raise ValueError(f"two {self._plural} are called {name!r}")
            if self._check:
                self._check(name, kind)
            self[name] = kind
            return kind

        return add

    def fill_from(self, package: str) -> None:
        """Import every module of a package: each registers what it has."""
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            importlib.import_module(f"{package}.{module.name}")
