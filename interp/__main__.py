"""python -m interp: measures, phases and circuits of a run's snapshots."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from interp.layouts.words import SETTINGS
from pipeline.errors import BAD_INPUT, UserError

DESCRIPTION = """\
Look inside the snapshots of a training run of (a + b) mod p.

  analyse   every snapshot: progress measures, the phases of the run and the cycle of
            the transition, spectra, and the circuit of the last snapshot
  circuit   which heads and neurons carry the answer of one snapshot
  attribute which heads, neurons and edges carry the answer of one snapshot, by one of six
            methods, and the smallest circuit that is faithful
  export    a circuit of `attribute` as a web page, GraphML, DOT or Neuronpedia graph
  measures  the measures of one snapshot and the evidence for its phase, as a table
  import    a checkpoint that others trained, or a folder of them, as a run

examples:
  python -m interp analyse runs/modular-catapult-s0 --out analysis/modular-catapult-s0
  python -m interp circuit runs/modular-catapult-s0 --snapshot 5 --out circuit.json
  python -m interp attribute runs/modular-catapult-s0 --method integrated_gradients --out circuit.json
  python -m interp export circuit.json --out circuit.html
  python -m interp measures runs/modular-catapult-s0/snapshots/cycle-0020.safetensors
  python -m interp import model.pt --layout tl --task modular --p 59

interp/README.md defines the measures and the phases.
"""

IMPORT = """\
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


METHODS = (
    "direct_logit_attribution",
    "activation_patching",
    "edge_patching",
    "attribution_patching",
    "integrated_gradients",
    "edge_masks",
)

ATTRIBUTE = """\
Score every node and edge of a snapshot, of kind transformer or deep_transformer, keep the
smallest set of edges that carries the answer, and write the graph as node-link JSON.

methods:
  direct_logit_attribution   what each node writes towards the answer itself
  activation_patching        exact effect of each node, one at a time
  edge_patching              exact effect of each edge, one at a time (path patching)
  attribution_patching       estimate of all at once by one gradient (EAP)
  integrated_gradients       the same by gradients on the way between the inputs (EAP-IG)
  edge_masks                 a learnt gate on every edge

An effect is what the logit difference (right answer against the corrupted input's answer)
loses when a node or an edge carries what it carries on the corrupted input. Scores and
circuits are measured on different random pairs.
"""


def parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="python -m interp", description=DESCRIPTION, formatter_class=shape)
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    analyse = commands.add_parser(
        "analyse",
        help="every snapshot of a run: measures, phases, spectra, circuit",
        formatter_class=shape,
        description="Analyse every snapshot of a run and write, in a directory that is replaced as a whole,\n"
        "  measures.csv   one row a snapshot: losses, accuracies, mechanism measures, phase\n"
        "  phases.json    segments, change points, transition cycle, evidence\n"
        "  spectra.json   Fourier spectra of embedding, read-out and logits, first and last\n"
        "  circuit.json   heads and neurons of the last snapshot, with scores and faithfulness\n"
        "                 (of the one-layer transformer only)",
    )
    analyse.add_argument("run", type=Path, metavar="RUN", help="run directory, such as runs/modular-catapult-s0")
    analyse.add_argument("--out", type=Path, help="directory to write (default: analysis/<key of the run>)")

    circuit = commands.add_parser(
        "circuit",
        help="which heads and neurons carry the answer of one snapshot",
        formatter_class=shape,
        description="Score every head and neuron of a snapshot by mean ablation, keep the smallest set that still\n"
        "gives the net's answers, and write the graph as node-link JSON:\n"
        "  networkx.node_link_graph(json.load(open('circuit.json')), edges='edges')",
    )
    circuit.add_argument("run", type=Path, metavar="RUN", help="run directory")
    circuit.add_argument("--snapshot", default="last", metavar="last|N", help="cycle of the snapshot (default: last)")
    circuit.add_argument("--out", type=Path, default=Path("circuit.json"), help="file to write (default: circuit.json)")
    circuit.add_argument("--faithfulness", type=float, default=0.99, help="share of answers to keep (default: 0.99)")

    _attribute_parser(commands)

    measures = commands.add_parser(
        "measures",
        help="the measures of one snapshot and the evidence for its phase",
        description="Print the measures of one snapshot, its phase, and each criterion of the phase `algorithm`.",
    )
    measures.add_argument("snapshot", type=Path, metavar="SNAPSHOT", help="a .safetensors file of a run")

    known = "\n".join(f"  {key:<19}{text}" for key, text in SETTINGS.items())
    foreign = commands.add_parser(
        "import", help="a foreign checkpoint as a run", formatter_class=shape, description=IMPORT + known
    )
    foreign.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="file, or folder of files")
    foreign.add_argument("--layout", required=True, choices=["tl", "module", "catapult"], help="what the file holds")
    foreign.add_argument("--task", required=True, choices=["modular"], help="what the net computes")
    foreign.add_argument("--p", required=True, type=int, help="the modulus")
    foreign.add_argument("--operation", default="addition", help="such as subtraction (default: addition)")
    foreign.add_argument("--config", type=Path, metavar="JSON", help="config of the checkpoint")
    foreign.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; may be repeated")
    foreign.add_argument("--map", type=Path, metavar="FILE", help="your Python file, for --layout module")
    foreign.add_argument("--out", type=Path, help="run directory to write (default: runs/<name of the checkpoint>)")
    return top


def _attribute_parser(commands: Any) -> None:
    shape = argparse.RawDescriptionHelpFormatter
    attribute = commands.add_parser(
        "attribute",
        help="the circuit of one snapshot by an attribution method",
        formatter_class=shape,
        description=ATTRIBUTE,
    )
    attribute.add_argument("run", type=Path, metavar="RUN", help="run directory")
    attribute.add_argument("--snapshot", default="last", metavar="last|N", help="cycle of the snapshot (default: last)")
    attribute.add_argument("--method", choices=METHODS, default="integrated_gradients", help="(default: %(default)s)")
    attribute.add_argument(
        "--out", type=Path, default=Path("circuit.json"), help="file to write (default: %(default)s)"
    )
    attribute.add_argument("--neurons", action="store_true", help="every neuron a node, not every MLP")
    attribute.add_argument("--inputs", type=int, default=256, help="pairs that scores are taken on (default: 256)")
    attribute.add_argument("--seed", type=int, default=0, help="of the pairs (default: 0)")
    attribute.add_argument(
        "--faithfulness", type=float, default=0.99, help="share of the metric to keep (default: 0.99)"
    )
    attribute.add_argument(
        "--necessary", action="store_true", help="cut the circuit down until every edge changes an answer when removed"
    )
    export = commands.add_parser("export", help="a circuit of `attribute` in another format")
    export.add_argument("circuit", type=Path, metavar="CIRCUIT", help="circuit.json of `attribute`")
    export.add_argument("--out", type=Path, required=True, help="file to write; its ending is the format")
    export.add_argument(
        "--to", choices=["json", "graphml", "dot", "neuronpedia", "html"], help="format, if not the ending"
    )


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        COMMANDS[options.command](options)
    except UserError as error:
        print(f"python -m interp: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0


def analyse(options: argparse.Namespace) -> None:
    from interp.analyse import analyse_run  # torch takes seconds to import: not for --help
    from pipeline.runs import Run

    out = options.out or Path("analysis") / Run.open(options.run).key
    analysis = analyse_run(options.run, out)
    for segment in analysis.phases.segments:
        print(f"cycles {analysis.cycles[segment.first]:>4} to {analysis.cycles[segment.last]:>4}  {segment.phase}")
    print(f"wrote {out}")


def circuit(options: argparse.Namespace) -> None:
    if not 0 < options.faithfulness <= 1:
        raise UserError(f"--faithfulness = {options.faithfulness}: give a share above 0 and at most 1, such as 0.99")
    from interp.analyse import circuit_of_snapshot
    from interp.circuit import save_circuit

    found = circuit_of_snapshot(options.run, options.snapshot, options.faithfulness)
    save_circuit(found, options.out)
    kept = found.graph["faithfulness"]
    print(f"kept {kept['kept_heads']} heads and {kept['kept_neurons']} neurons of {kept['components']} components")
    print(
        f"net's own answers kept: {kept['agreement_train']:.2%} on training pairs, {kept['agreement_all']:.2%} on all"
    )
    print(f"wrote {options.out}")


def attribute(options: argparse.Namespace) -> None:
    if not 0 < options.faithfulness <= 1:
        raise UserError(f"--faithfulness = {options.faithfulness}: give a share above 0 and at most 1, such as 0.99")
    if options.inputs < 1:
        raise UserError(f"--inputs = {options.inputs}: give 1 or more")
    from interp.circuits import find
    from interp.circuits.circuit import save_circuit
    from interp.circuits.snapshot import choose_snapshot
    from pipeline.nets import Net
    from pipeline.runs import Run, load_snapshot

    snapshot = load_snapshot(choose_snapshot(Run.open(options.run), options.snapshot), Net)
    found = find(
        snapshot.net,
        snapshot.task,
        options.method,
        neurons=options.neurons,
        inputs=options.inputs,
        seed=options.seed,
        target=options.faithfulness,
        necessary=options.necessary,
    )
    save_circuit(found, options.out)
    kept = found.graph["circuit"]
    print(f"kept {kept['edges']} of {found.number_of_edges()} edges: faithfulness {kept['faithfulness']:.4f}, ", end="")
    print(f"the net's own answer on {kept['agreement']:.2%} of the inputs")
    print(f"CPR {found.graph['cpr']:.4f}, CMD {found.graph['cmd']:.4f}")
    print(f"wrote {options.out}")


def export_circuit(options: argparse.Namespace) -> None:
    from interp.circuits.circuit import load_circuit
    from interp.export import export

    export(load_circuit(options.circuit), options.out, options.to)
    print(f"wrote {options.out}")


def measures(options: argparse.Namespace) -> None:
    import torch

    from interp.labels import algorithm_criteria, label
    from interp.progress_measures import Measures, measure
    from pipeline.nets import Net
    from pipeline.runs import load_snapshot

    snapshot = load_snapshot(options.snapshot, Net)
    found = measure(snapshot.net, snapshot.task, torch.from_numpy(snapshot.split()[0]))
    print(f"{snapshot.task}, {snapshot.recipe}, seed {snapshot.seed}, cycle {snapshot.cycle}, step {snapshot.step}\n")
    for name in Measures.names():
        print(f"  {name:<28}{getattr(found, name):>12.5g}")
    print(f"\nphase: {label(found, snapshot.task.p)}\ncriteria of `algorithm`:")
    for criterion in algorithm_criteria(found, snapshot.task.p):
        print(f"  {'yes' if criterion.holds else 'no ':<4} {criterion}")


def import_run(options: argparse.Namespace) -> None:
    if (options.layout == "module") != (options.map is not None):
        raise UserError(f"--map = {options.map}: goes with --layout module, and only with it")
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


COMMANDS = {
    "analyse": analyse,
    "circuit": circuit,
    "attribute": attribute,
    "export": export_circuit,
    "measures": measures,
    "import": import_run,
}


if __name__ == "__main__":
    sys.exit(main())
