"""One name to import: `catapult.interp` is the package `interp`, the same object, and so is every room and module.

The rooms are folders at the top of the repository and import one another by those names. Mapped into this package as
files they would be there twice, with every class twice; so that a finder gives the module that is there instead.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import cast

ROOMS = ("pipeline", "train", "interp", "compress", "verify", "stages")


class _Alias(Loader):
    """Loads a module of a room under its own name and hands out that module."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self.name)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import system has put that of the alias in its place

    def get_code(self, fullname: str) -> CodeType | None:
        """For `python -m catapult.ROOM`."""
        spec = find_spec(self.name)
        assert spec is not None
        return cast(InspectLoader, spec.loader).get_code(self.name)


class _Rooms(MetaPathFinder):
    """Finds `catapult.ROOM` and everything below it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != __name__ or name.split(".")[0] not in ROOMS:
            return None
        there = find_spec(name)
        if there is None:
            return None
        return ModuleSpec(fullname, _Alias(name), is_package=there.submodule_search_locations is not None)


def __getattr__(name: str) -> ModuleType:
    if name not in ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


sys.meta_path.insert(0, _Rooms())
