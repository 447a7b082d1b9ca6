"""Public names of a package that are imported when they are first used, since torch takes seconds to import.

The list of them stands once: in the block `if TYPE_CHECKING:` of the package's `__init__`, where type checkers read it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def lazily(package: str, file: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package (PEP 562) whose `__init__` is `file`."""

    def get(name: str) -> Any:
        if name not in homes(file):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes(file)[name]), name)

    return get


@cache
def homes(file: str) -> dict[str, str]:
    """The module of each name that the `if TYPE_CHECKING:` block of a file imports as itself."""
    blocks = [
        node
        for node in ast.parse(Path(file).read_text()).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name: str(node.module) for node in imports for alias in node.names}
