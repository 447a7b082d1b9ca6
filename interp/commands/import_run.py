"""import: a foreign checkpoint as a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from interp.layouts.words import SETTINGS
from pipeline.errors import UserError

DESCRIPTION = """\
Turn a foreign checkpoint, or a folder of them in training order, into a run directory
that the other commands read. Pickles are opened with torch.load(weights_only=True) only;
safetensors too. A folder is read in natural order of its names: step_20 before step_100.

layouts:
  tl        TransformerLens' property format (HookedTransformer state dicts), in its own
            orientation or that of Zhong et al. 2023, and the MLPs and linear models of theirs
  module    any state dict, by --map FILE: your Python file with a function
            layout(state) -> (config of pipeline.nets, state dict); it is run
  catapult  our own snapshots, or a run directory

What tensors cannot say comes from --set, then from --config or from the JSON file beside the
checkpoint (config_X.json for model_X.pt, X.json, config.json). What nothing says is taken for
granted, printed, and kept in params.json. Settings:
"""


def add(commands: Any) -> None:
    known = "\n".join(f"  {key:<19}{text}" for key, text in SETTINGS.items())
    parser = commands.add_parser(
        "import",
        help="a foreign checkpoint as a run",
        description=DESCRIPTION + known,
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="file, or folder of files")
    parser.add_argument("--layout", required=True, choices=["tl", "module", "catapult"], help="what the file holds")
    parser.add_argument("--task", required=True, choices=["modular"], help="what the net computes")
    parser.add_argument("--p", required=True, type=int, help="the modulus")
    parser.add_argument("--operation", default="addition", help="such as subtraction (default: addition)")
    parser.add_argument("--config", type=Path, metavar="JSON", help="config of the checkpoint")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; may be repeated")
    parser.add_argument("--map", type=Path, metavar="FILE", help="your Python file, for --layout module")
    parser.add_argument("--out", type=Path, help="run directory to write (default: runs/<name of the checkpoint>)")


def run(options: argparse.Namespace) -> None:
    if (options.layout == "module") != (options.map is not None):
        mend = "give --map FILE" if options.map is None else "leave it out"
        raise UserError(f"--map = {options.map}: goes with --layout module, and only with it; {mend}")
    if options.layout != "tl" and (options.set or options.config):
        raise UserError(f"--layout = {options.layout}: takes neither --config nor --set")
    from interp.foreign import config_of, import_checkpoints, reader
    from pipeline.tasks import ModularTask

    task = ModularTask(options.p, options.operation)
    out = options.out or Path("runs") / options.checkpoint.resolve().stem
    read = reader(options.layout, task, options.config, _settings(options.set), options.map)
    _, found = import_checkpoints(options.checkpoint, out, read, options.layout)
    for one in found:
        net, inputs = one.snapshot, len(task.pairs())
        print(f"{one.file.name}: cycle {net.cycle}, step {net.step}, {one.right} of {inputs} right, ", end="")
        print(f"smallest margin {one.margin:.3g}")
    for note in found[0].notes:
        print(f"note: {note}")
    print(f"wrote {out}: {len(found)} snapshot(s) of kind {config_of(found[0].snapshot.net).KIND} for {task}")


def _settings(given: list[str]) -> dict[str, Any]:
    """Numbers as numbers, all else as text."""
    values: dict[str, Any] = {}
    for text in given:
        key, _, value = text.partition("=")
        if key not in SETTINGS or not value:
            raise UserError(f"--set = {text}: give KEY=VALUE; keys: {', '.join(SETTINGS)}")
        try:
            values[key] = float(value)
        except ValueError:
            values[key] = value
    return values
