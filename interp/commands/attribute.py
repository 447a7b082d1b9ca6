"""attribute: the circuit of one snapshot by an attribution method."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from pipeline.command_line import output_file
from pipeline.errors import UserError

METHODS = (
    "direct_logit_attribution",
    "activation_patching",
    "edge_patching",
    "attribution_patching",
    "integrated_gradients",
    "edge_masks",
)

DESCRIPTION = """\
Score every node and edge of a snapshot, of kind transformer, deep_transformer or mlp, keep
the smallest set of edges that carries the answer, and write the graph as node-link JSON.

methods:
  direct_logit_attribution   what each node writes towards the answer itself
  activation_patching        exact effect of each node, one at a time
  edge_patching              exact effect of each edge, one at a time (path patching)
  attribution_patching       estimate of all at once by one gradient (EAP)
  integrated_gradients       the same by gradients on the way between the inputs (EAP-IG)
  edge_masks                 a learnt gate on every edge

An effect is what the logit difference (right answer against the corrupted input's answer)
loses when a node or an edge carries what it carries on the corrupted input. Scores and
circuits are measured on different random pairs, both from those that the net was trained on
(of a foreign net: all).
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "attribute",
        help="the circuit of one snapshot by an attribution method",
        description=DESCRIPTION,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory")
    parser.add_argument("--snapshot", default="last", metavar="last|N", help="cycle of the snapshot (default: last)")
    parser.add_argument("--method", choices=METHODS, default="integrated_gradients", help="(default: %(default)s)")
    parser.add_argument("--out", type=output_file, default="circuit.json", help="file to write (default: %(default)s)")
    parser.add_argument("--neurons", action="store_true", help="every neuron a node, not every MLP")
    parser.add_argument("--inputs", type=int, default=256, help="training pairs that are scored (default: 256)")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs (default: 0)")
    parser.add_argument("--faithfulness", type=float, default=0.99, help="share of the metric to keep (default: 0.99)")
    parser.add_argument(
        "--necessary", action="store_true", help="cut the circuit down until every edge changes an answer when removed"
    )


def run(options: argparse.Namespace) -> None:
    if not 0 < options.faithfulness <= 1:
        raise UserError(f"--faithfulness = {options.faithfulness}: give a share above 0 and at most 1, such as 0.99")
    if options.inputs < 1:
        raise UserError(f"--inputs = {options.inputs}: give 1 or more")
    import torch

    from interp.circuits import find, save_circuit
    from interp.circuits.snapshot import choose_snapshot
    from pipeline.kernels import settle
    from pipeline.nets import Net
    from pipeline.runs import Run, load_snapshot

    settle()
    path = choose_snapshot(Run.open(options.run), options.snapshot)
    snapshot = load_snapshot(path, Net)
    found = find(
        snapshot.net,
        snapshot.pair_task,
        options.method,
        neurons=options.neurons,
        inputs=options.inputs,
        seed=options.seed,
        target=options.faithfulness,
        necessary=options.necessary,
        among=torch.from_numpy(snapshot.split()[0]),
    )
    found.graph["snapshot"] = hashlib.sha256(path.read_bytes()).hexdigest()
    save_circuit(found, options.out)
    kept = found.graph["circuit"]
    print(f"kept {kept['edges']} of {found.number_of_edges()} edges: faithfulness {kept['faithfulness']:.4f}, ", end="")
    print(f"the net's own answer on {kept['agreement']:.2%} of the inputs, {kept['agreement_all']:.2%} of all pairs")
    print(f"CPR {found.graph['cpr']:.4f}, CMD {found.graph['cmd']:.4f}")
    print(f"wrote {options.out}")
