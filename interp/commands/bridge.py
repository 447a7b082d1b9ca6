"""python -m interp bridge RUN: a snapshot opened in TransformerLens, and how far its logits are from the net's own."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from pipeline.command_line import output_file
from pipeline.errors import UserError

DESCRIPTION = """\
Open a snapshot in TransformerLens and compare the logits with the net's own over all pairs.

Kinds transformer and deep_transformer open as a TransformerBridge, the others as the
HookedRootModule that they are. In Python:

  from interp.bridge import open_in_transformer_lens
  bridge = open_in_transformer_lens("runs/modular-catapult")

Ends with an error where the logits differ by more than 1e-5 in float64, or in float32 by
more than 1e-5 of the largest logit (of 1, where that is less than 1).
"""


def add(commands: Any) -> None:
    """The subparser `bridge`."""
    bridge = commands.add_parser(
        "bridge",
        help="a snapshot in TransformerLens, with the same logits",
        description=DESCRIPTION,
    )
    bridge.add_argument("run", type=Path, metavar="RUN", help="run directory, or one snapshot")
    bridge.add_argument("--snapshot", default="last", metavar="last|N", help="cycle of the snapshot (default: last)")
    bridge.add_argument(
        "--out", type=output_file, metavar="FILE", help="also write config and state dict for HookedTransformer"
    )


def run(options: argparse.Namespace) -> None:
    import torch

    from interp.bridge import agreement, save_property_file, to_bridge, token_rows
    from interp.bridge.opening import load_net
    from interp.foreign import config_of
    from pipeline.nets import DeepTransformer, Transformer

    net = load_net(options.run, options.snapshot)
    kind = config_of(net).KIND
    if not isinstance(net, Transformer | DeepTransformer):
        print(f"kind {kind}: opens as it is, a HookedRootModule with hooks {', '.join(net.hook_dict)}")
        if options.out is not None:
            raise UserError(f"--out = {options.out}: HookedTransformer has no nets of kind {kind}")
        return
    first = token_rows(net, torch.zeros(1, 2, dtype=torch.long))
    names = list(to_bridge(net).run_with_cache(first)[1])
    short = [name for name in names if re.match(r"(blocks\.0\.([a-z]+\.)?)?hook_(?!in$|out$)", name)]
    print(f"kind {kind}: opens as a TransformerBridge with {len(names)} hook names, such as")
    print("\n".join(f"  {name}" for name in short))
    found = agreement(net)
    print(f"largest difference of logits over {found.pairs} pairs: {found.float32:.2g} in float32 ", end="")
    print(f"(logits up to {found.largest_logit:.3g}), {found.float64:.2g} in float64")
    if not found.holds:
        raise UserError(f"{options.run} = logits {found.float32:.2g} apart: a defect of the bridge; do not use it")
    if options.out is not None:
        save_property_file(net, options.out)
        print(f"wrote {options.out}")
