"""`python -m verify prove | snapshots | stream | chain | extract | check`."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from pipeline.command_line import Parser, output_file
from pipeline.errors import one_line, reported
from pipeline.files import write_atomically
from verify import checker
from verify.exact_net import load_exact_net
from verify.programs import extract
from verify.recheck import recheck
from verify.run import Nets, verify_run
from verify.stream_run import verify_stream
from verify.verdicts import to_csv, verdicts

EXIT_INTERNAL = 70

_HELP = """Proves what a compressed net computes, on every input, with Z3; torch is not needed.

  arithmetic = program = student = trained net

Each = is a claim of its own and ends in Proved, Refuted (with a pair on which it fails) or Unknown (with the reason):
  program   the algorithm read off the student, a readable Python file; equals (a + b) mod p for all a, b, by Z3
  student   the compressed net, integer weights; gives the program's answer for all a, b, full argmax, by Z3
  trained   the float32 net that training left; gives the student's answer on all inputs, by evaluating every one
"""
_EPILOG = """examples:
  python -m verify prove --student student.safetensors --trained pruned.safetensors --out proof
  python -m verify prove --trained snapshot.safetensors         is the trained net right on every input?
  python -m verify snapshots runs/modular-catapult           every snapshot: right on all inputs, or where it is not
  python -m verify extract --student student.safetensors --out program.py && python program.py 37 99
  python -m verify check proof/certificate.json --net student.safetensors --program proof/program.py
  python -m verify stream cycle-0008.safetensors --out proof       a recurrent net, for streams of every length

exit status of prove and stream: 0 Proved, 1 Refuted, 2 Unknown, 64 bad input, 70 internal error
exit status of chain: the same, and 2 where something is NOT CHECKED
exit status of check: 0 accepted and Proved, 1 rejected, 2 something NOT CHECKED, 3 accepted and not Proved, 64 usage
"""
_STATUS = "exit status: 0 Proved, 1 Refuted, 2 Unknown, 64 bad input, 70 internal error"
_OUT = "directory for program.py, certificate.json, obligations/; nothing is written without it"


def _parser() -> Parser:
    parser = Parser(prog="python -m verify", description=_HELP, epilog=_EPILOG)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    prove = commands.add_parser("prove", help="prove or refute every link of the chain", epilog=_STATUS)
    prove.add_argument("--student", type=Path, help="integer student, safetensors")
    prove.add_argument("--float-student", type=Path, help="the student before its weights were rounded, safetensors")
    prove.add_argument("--pruned", type=Path, help="snapshot of the pruned net, safetensors")
    prove.add_argument("--program", type=Path, help="program file; read off the student when left out")
    prove.add_argument("--trained", type=Path, help="snapshot of the trained net, safetensors")
    prove.add_argument("--out", type=Path, help=_OUT)
    prove.add_argument("--timeout", type=float, default=300.0, help="wall-clock seconds for the solver (300)")
    snapshots = commands.add_parser(
        "snapshots",
        help="evaluate every snapshot of a run on every input, in exact arithmetic",
        description="Right on every input, or the first on which it is not: for every snapshot of a run, in exact\n"
        "arithmetic, and whether float32 could differ. It is evaluated and not certified: `prove` proves one.",
    )
    snapshots.add_argument("run", type=Path, help="run directory, such as runs/modular-catapult")
    snapshots.add_argument("--out", type=output_file, help="CSV file (default: verdicts/<name of the run>.csv)")
    write = commands.add_parser("extract", help="write the program read off a student")
    write.add_argument("--student", type=Path, required=True, help="integer student, safetensors")
    write.add_argument("--out", type=output_file, required=True, help="Python file to write")
    every = "prove or refute a recurrent net for streams of every length"
    stream = commands.add_parser("stream", help=every, description=f"{every[0].upper()}{every[1:]}.", epilog=_STATUS)
    stream.add_argument("net", type=Path, help="snapshot of the recurrent net, safetensors")
    stream.add_argument("--out", type=Path, help=_OUT)
    stream.add_argument("--timeout", type=float, default=60.0, help="wall-clock seconds for the solver (60)")
    chain = commands.add_parser(
        "chain",
        help="check a certificate's links, and print them and the weakest",
        description="The links of a certificate, checked in this run. The files that it names are looked for by their\n"
        "hashes: beside it, in runs/ and in compressed/. The independent checker recomputes every claim from\n"
        "them, and the formulas are made again. What is not checked is said to be NOT CHECKED.",
        epilog="exit status: 0 Proved, 1 Refuted, 2 Unknown or NOT CHECKED, 64 bad input, 70 internal error",
    )
    chain.add_argument("proof", type=Path, help="directory of a proof, or its certificate.json")
    chain.add_argument("--net", type=Path, action="append", default=[], help="a net's file; may be given again")
    chain.add_argument("--program", type=Path, action="append", default=[], help="the program's file")
    commands.add_parser("check", help="run the independent checker (arguments as verify/checker.py)", add_help=False)
    return parser


def main(arguments: list[str]) -> int:
    """Runs one command and returns its exit status."""
    try:
        return reported("error", lambda: _run(arguments))
    except ModuleNotFoundError:
        raise  # in one line, by pipeline.missing_modules
    except Exception as error:
        # Python's own status for this is 1, which here means Refuted.
        traceback.print_exc()
        print(f"internal error: {type(error).__name__}: {one_line(str(error))[:200]}", file=sys.stderr)
        return EXIT_INTERNAL


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["check"]:
        return checker.main(arguments[1:])
    options = _parser().parse_args(arguments)
    match options.command:
        case "stream":
            proved = verify_stream(options.net, options.out, options.timeout, progress=_progress)
            print("\n".join(proved.lines()))
            return proved.exit_code
        case "extract":
            write_atomically(options.out, extract(load_exact_net(options.student)).render())
            return 0
        case "snapshots":
            out = options.out or output_file(f"verdicts/{options.run.resolve().name}.csv")
            write_atomically(out, to_csv(verdicts(options.run, _progress)))
            print(f"wrote {out}")
            return 0
        case "chain":
            found = recheck(options.proof, [*options.net, *options.program], _progress)
            print("\n".join(found.lines))
            return found.status
        case _:
            nets = Nets(options.trained, options.pruned, options.float_student, options.student, options.program)
            summary = verify_run(nets, options.out, options.timeout, _progress)
            print("\n".join(summary.lines()))
            return summary.exit_code


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
