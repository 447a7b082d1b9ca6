"""python -m compress: from a trained net to a small integer net that a solver can prove."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.params import PairCompressParams, room_params

DESCRIPTION = """\
Compress the last snapshot of a training run of a task on pairs, in four rungs:

  trained          the transformer as it was trained
  pruned           without the heads and neurons that no answer needs (torch-pruning,
                   in the order of the circuit's scores)
  student          softmax-free: one embedding table, one ReLU layer, a cosine read-out
                   over a few key frequencies, taught by the pruned net's own answers
  integer student  the same in small integers, trained through the rounding

A net of at most 64 live neurons is pruned exactly instead: what does nothing on any
input is cut out, and its own neurons become the integer student.

Of tasks other than a + b and a - b mod p there is no student: the ladder has the first
two rungs. Each is counted over all inputs. What a net has wrong, its student gets wrong:
a net that memorised is not repaired here.

example:
  python -m compress runs/modular-catapult --analysis analysis/modular-catapult

writes, in a directory that is replaced as a whole, pruned.safetensors,
student_float.safetensors, student.safetensors, ladder.csv and ladder.json.
compress/README.md says how, and what each option does.
"""

OPTIONS = {
    "prune_criterion": "answers: no answer of the net may change; train: none that it has right on the training pairs",
    "key_frequencies": "frequencies in the read-out",
    "strong": "a key frequency has at least this share of the largest amplitude in the net's logits",
    "units_per_frequency": "hidden units for each frequency",
    "table_bits": "bits of an embedding entry, sign included",
    "mix_bits": "bits of a weight behind the ReLU, sign included",
    "distill_steps": "optimiser steps of the float student",
    "restarts": "starts per frequency, of which the best is kept",
    "quantize_steps": "optimiser steps of the integer student",
    "closing_ratio": "try again with a unit more per frequency where error / margin is above this; a proof needs < 1",
    "attempts": "students to try before the best of them is taken",
    "seed": "of the student",
}


def parser() -> Parser:
    top = Parser(prog="python -m compress", description=DESCRIPTION)
    top.add_argument("run", type=Path, metavar="RUN", help="run directory, such as runs/modular-catapult")
    top.add_argument(
        "--analysis", type=Path, metavar="DIR", help="holds circuit.json (default: analysis/<name of the run>)"
    )
    top.add_argument(
        "--out", type=Path, metavar="DIR", help="directory to write (default: compressed/<name of the run>)"
    )
    top.add_argument("--params", type=Path, default=Path("params.yaml"), help="its section compress has the defaults")
    for name, text in OPTIONS.items():
        kind = type(PairCompressParams.model_fields[name].default)
        top.add_argument("--" + name.replace("_", "-"), type=kind, metavar="X", help=text)
    return top


def main(arguments: list[str] | None = None) -> int:
    return reported("python -m compress", lambda: _compress(parser().parse_args(arguments)))


def _compress(options: argparse.Namespace) -> int:
    params = _params(options)
    from compress.ladder import compress_run  # torch takes seconds to import: not for --help

    name = options.run.resolve().name
    out = options.out or Path("compressed") / name
    ladder = compress_run(options.run, options.analysis or Path("analysis") / name, out, params, say=_say)
    print(f"{'net':<16}{'parameters':>12}{'bytes':>10}{'wrong':>8} of {ladder.rungs[0].inputs}")
    for rung in ladder.rungs:
        print(f"{rung.name:<16}{rung.parameters:>12,}{rung.bytes:>10,}{rung.wrong:>8,}   {rung.note}")
    print(f"wrote {out}")
    return 0


def _params(options: argparse.Namespace) -> PairCompressParams:
    given = {name: getattr(options, name) for name in OPTIONS if getattr(options, name) is not None}
    values = room_params(options.params).compress.pairs.model_dump() | given
    try:
        return PairCompressParams(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if not first["loc"]:
            raise UserError(first["msg"].removeprefix("Value error, ")) from None
        name = str(first["loc"][0])
        mend = PairCompressParams.model_fields[name].description or first["msg"]
        raise UserError(f"--{name.replace('_', '-')} = {first['input']}: {first['msg']}; {mend}") from None


def _say(text: str) -> None:
    print(f"compress: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
