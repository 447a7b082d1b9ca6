"""Any run opens in TransformerLens: as a bridge where the net has attention, as the net itself where it has none."""

from __future__ import annotations

from pathlib import Path

from transformer_lens.model_bridge import TransformerBridge

from interp.bridge.convert import to_bridge
from pipeline.errors import UserError
from pipeline.files import snapshot_paths
from pipeline.nets import DeepTransformer, Net, Transformer
from pipeline.runs import load_snapshot


def open_in_transformer_lens(path: Path | str, snapshot: str = "last") -> TransformerBridge | Net:
    """A run directory (cycle `snapshot`, or its last) or one snapshot file, for TransformerLens' tools.

    Kinds transformer and deep_transformer become a `TransformerBridge`. Kinds mlp, quadratic and recurrent have no
    attention and are returned as they are: HookedRootModules, on which run_with_cache, run_with_hooks and hook_dict
    work. UserError where there is no such snapshot, or one that the bridge cannot express.
    """
    net = load_net(Path(path), snapshot)
    return to_bridge(net) if isinstance(net, Transformer | DeepTransformer) else net


def load_net(path: Path, snapshot: str) -> Net:
    """The net of a snapshot file, or of cycle `snapshot` of a run directory, of whatever kind."""
    file = path if path.is_file() else _choose(path, snapshot)
    return load_snapshot(file, Net).net


def _choose(run: Path, which: str) -> Path:
    if not run.exists():
        raise UserError(f"{run}: no such run or snapshot")
    named = {str(int(path.stem.removeprefix("cycle-"))): path for path in snapshot_paths(run)}
    path = named[max(named, key=int)] if which == "last" else named.get(which.lstrip("0") or "0")
    if path is None:
        raise UserError(f"--snapshot = {which}: no such cycle; {run} has {', '.join(named)}, or say last")
    return path
