"""Our nets in TransformerLens: a `TransformerBridge` for those with attention, the net itself for the others.

Names are imported when they are first used: TransformerLens takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.bridge.convert import Agreement as Agreement
    from interp.bridge.convert import agreement as agreement
    from interp.bridge.convert import to_bridge as to_bridge
    from interp.bridge.opening import open_in_transformer_lens as open_in_transformer_lens
    from interp.bridge.property_file import save_property_file as save_property_file
    from interp.bridge.shape import token_rows as token_rows

_HOMES = {
    "convert": ("Agreement", "agreement", "to_bridge"),
    "opening": ("open_in_transformer_lens",),
    "property_file": ("save_property_file",),
    "shape": ("token_rows",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"interp.bridge.{home}"), name)
    raise AttributeError(f"module 'interp.bridge' has no attribute {name!r}")
