"""python -m interp: measures, phases and circuits of a run's snapshots."""

from __future__ import annotations

import sys

from interp.commands import analyse, attribute, bridge, export, import_run, measures
from pipeline.command_line import Parser
from pipeline.errors import reported

DESCRIPTION = """\
Look inside the snapshots of a training run of (a + b) mod p.

  analyse   every snapshot: progress measures, the phases of the run and the cycle of
            the transition, spectra, and the circuit of the last snapshot
  attribute which heads, neurons and edges carry the answer of one snapshot, by one of six
            methods, and the smallest circuit that is faithful
  export    a circuit of `attribute` as a web page, GraphML, DOT or Neuronpedia graph
  measures  the measures of one snapshot and the evidence for its phase, as a table
  bridge    a snapshot in TransformerLens, with the same logits
  import    a checkpoint that others trained, or a folder of them, as a run

examples:
  python -m interp analyse runs/modular-catapult --out analysis/modular-catapult
  python -m interp attribute runs/modular-catapult --snapshot 5 --out circuit.json
  python -m interp export circuit.json --out circuit.html
  python -m interp measures runs/modular-catapult/snapshots/cycle-0050.safetensors
  python -m interp bridge runs/modular-catapult
  python -m interp import model.pt --layout tl --task modular --p 59

interp/README.md defines the measures and the phases.
"""

COMMANDS = {
    "analyse": analyse,
    "attribute": attribute,
    "export": export,
    "measures": measures,
    "bridge": bridge,
    "import": import_run,
}
"""By name, in the order of the help: a file of `interp.commands` each."""


def parser() -> Parser:
    top = Parser(prog="python -m interp", description=DESCRIPTION)
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for command in COMMANDS.values():
        command.add(commands)
    return top


def main(arguments: list[str] | None = None) -> int:
    def body() -> int:
        options = parser().parse_args(arguments)
        COMMANDS[options.command].run(options)
        return 0

    return reported("python -m interp", body)


if __name__ == "__main__":
    sys.exit(main())
