"""python -m benchmarks.story: does the same story come out for other seeds, other primes and other processors?

A pair is the two default nets, catapult and standard, on the data and initial weights of one seed. The story holds for
a pair when the catapult net ends in `algorithm` and is right on every input, and the standard net ends in `memorising`
and is wrong on some. Two depths:

    label   train, label the phases, and evaluate the last net on every input in exact arithmetic (verify.verdicts)
    chain   train, analyse, compress, extract and prove; here Proved stands for right, and Refuted for wrong; at the end
            the range over the seeds of every number that the docs quote of the default nets

Every net is printed when it is done, as many at a time as --jobs. Exit status 1 where the story does not hold for all.
"""

from __future__ import annotations

import io
import multiprocessing
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from benchmarks.defaults import modular_task
from benchmarks.emulation import EMULATIONS, emulate
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.params import PipelineParams, load_params
from pipeline.validation import checked

EXPECTED = {"catapult": ("algorithm", "right"), "standard": ("memorising", "wrong")}
VERDICTS = {"Proved": "right", "Refuted": "wrong", "Unknown": "open"}


@dataclass(frozen=True)
class Outcome:
    """What came of one net. `wrong` and `open` count inputs; `verdict` is right, wrong or open; `numbers` by name."""

    p: int
    seed: int
    recipe: str
    test_accuracy: float
    transition: int | None
    phase: str
    parameters: int | None
    wrong: int
    open: int
    verdict: str
    numbers: tuple[tuple[str, float], ...] = ()

    @property
    def as_expected(self) -> bool:
        return (self.phase, self.verdict) == EXPECTED[self.recipe]

    def __str__(self) -> str:
        transition = "none" if self.transition is None else str(self.transition)
        parameters = "" if self.parameters is None else f"{self.parameters:,}"
        return (
            f"{self.p:>4}  {self.seed:>5}  {self.recipe:<8}  {self.test_accuracy:>8.2%}  {transition:>10}  "
            f"{self.phase:<17}  {self.verdict:<7}  {self.wrong:>6,}  {self.open:>5,}  {parameters:>10}"
            f"  {'' if self.as_expected else 'NOT THE STORY'}"
        ).rstrip()


HEADER = "   p   seed  recipe    test acc  transition  phase at the end   verdict   wrong   open  parameters"


def run_label(params: PipelineParams, recipe: str, root: Path) -> Outcome:
    """Train, label, and evaluate on every input."""
    import torch

    from interp.fourier import key_frequencies
    from interp.phases import find_phases
    from interp.progress_measures import measure_evaluation, spectra_of
    from interp.snapshots import evaluate_snapshot
    from pipeline.runs import Run
    from train.run import train_run
    from verify.verdicts import verdict_of

    experiment = params.experiment(f"modular-{recipe}")
    task = modular_task(experiment)
    run = Run.open(train_run(experiment, root / experiment.name, root / "state"))
    train = torch.from_numpy(run.split()[0])
    power = params.interp.key_power
    keys = key_frequencies(spectra_of(evaluate_snapshot(run, run.snapshots[-1])[1]).logits, power)
    series = [
        measure_evaluation(evaluate_snapshot(run, path)[1], train, keys, key_power=power) for path in run.snapshots
    ]
    phases = find_phases(series, task.p, params.interp.thresholds)
    found = verdict_of(run.snapshots[-1])
    return Outcome(
        p=task.p,
        seed=experiment.train.seed,
        recipe=recipe,
        test_accuracy=series[-1].test_accuracy,
        transition=phases.transition,
        phase=phases.final,
        parameters=None,
        wrong=found.wrong,
        open=found.open,
        verdict=found.status,
    )


def run_chain(params: PipelineParams, recipe: str, root: Path) -> Outcome:
    """The whole chain for one recipe; `wrong` are the answers of the last rung."""
    from compress.ladder import compress_run
    from interp.analyse import analyse_run
    from pipeline.files import snapshot_paths
    from train.run import train_run
    from verify.run import Nets, verify_run

    experiment = params.experiment(f"modular-{recipe}")
    run, analysis, compressed = (root / name / experiment.name for name in ("runs", "analysis", "compressed"))
    train_run(experiment, run, root / "state")
    phases = analyse_run(run, analysis, params.interp)
    ladder = compress_run(run, analysis, compressed, params.compress.pairs)
    student = compressed / "student_float.safetensors"  # none where the integer student is the net's own core
    nets = Nets(
        trained=snapshot_paths(run)[-1],
        pruned=compressed / "pruned.safetensors",
        student=student if student.exists() else None,
        integer=compressed / "student.safetensors",
    )
    summary = verify_run(nets, root / "proofs" / experiment.name, params.verify.timeout)
    coefficients = [moment.learning_coefficient.value for moment in phases.moments]
    numbers = {
        "integers of the student": ladder.rungs[-1].parameters,
        "times fewer than the net": ladder.compression,
        "inputs the student has wrong": ladder.rungs[-1].wrong,
        "key frequencies": len(phases.key_frequencies),
        "learning coefficient, last": coefficients[-1],
        "learning coefficient, highest": max(coefficients),
    }
    if phases.circuit is not None:
        numbers["edges of the circuit"] = sum(kept for *_, kept in phases.circuit.edges(data="in_circuit"))
    for result in summary.results:
        smallest = result.measured.get("margin_over_bound", {}).get("smallest")
        if result.claim.kind == "rounding" and smallest is not None:
            numbers[f"float32: margin over bound, {result.claim['net']}"] = smallest
        if result.claim.kind == "radius":
            numbers["radius of the student"] = result.measured["smallest"]
    return Outcome(
        p=modular_task(experiment).p,
        seed=experiment.train.seed,
        recipe=recipe,
        test_accuracy=phases.measures[-1].test_accuracy,
        transition=phases.transition_cycle,
        phase=phases.phases.final,
        parameters=ladder.rungs[-1].parameters,
        wrong=ladder.rungs[-1].wrong,
        open=0,
        verdict=VERDICTS[type(summary.verdict).__name__],
        numbers=tuple(numbers.items()),
    )


def ranges(found: Sequence[Outcome]) -> Iterator[str]:
    """A line a recipe, prime and number: the least and the greatest over the seeds."""
    values: dict[tuple[str, int, str], list[float]] = {}
    for outcome in found:
        for name, value in outcome.numbers:
            values.setdefault((outcome.recipe, outcome.p, name), []).append(value)
    for (recipe, p, name), own in sorted(values.items()):
        yield f"{recipe:<8}  {p:>4}  {name:<46}  {min(own):.4g} to {max(own):.4g} (n = {len(own)})"


DEPTHS = {"label": run_label, "chain": run_chain}


def with_task(params: PipelineParams, seed: int, p: int, operation: str) -> PipelineParams:
    """The parameters of params.yaml with another seed and task, checked again."""
    values = params.model_dump(mode="json")
    values["train"]["modular"]["seed"] = seed
    values["tasks"]["modular"] |= {"p": p, "operation": operation}
    return checked(values, PipelineParams, "--seeds, --first, --p")


def one(depth: str, recipe: str, seed: int, p: int, operation: str) -> Outcome:
    """One net, in a process of its own, without its progress lines; nothing is kept."""
    with tempfile.TemporaryDirectory() as directory, redirect_stderr(io.StringIO()):
        return DEPTHS[depth](with_task(load_params(), seed, p, operation), recipe, Path(directory))


def outcomes(options: Namespace) -> Iterator[Outcome]:
    """Every net, as soon as it is done."""
    emulate(options.kernels)
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        seeds = range(options.first, options.first + options.seeds)
        waiting = [
            pool.submit(one, options.depth, recipe, seed, p, options.operation)
            for p in options.p
            for seed in seeds
            for recipe in EXPECTED
        ]
        for done in as_completed(waiting):
            yield done.result()


def main() -> int:
    parser = Parser(prog="python -m benchmarks.story", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds, from --first (default: 10)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument("--p", type=int, nargs="+", default=[113], help="moduli, primes (default: 113)")
    parser.add_argument("--operation", default="addition", choices=("addition", "subtraction"))
    parser.add_argument("--depth", default="label", choices=DEPTHS, help="how far each net is taken (default: label)")
    parser.add_argument("--kernels", default="same", choices=EMULATIONS, help="see benchmarks/emulation.py")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (default: 2)")
    options = parser.parse_args()
    if min(options.seeds, options.jobs) < 1:
        raise UserError(f"--seeds = {options.seeds}, --jobs = {options.jobs}: give whole numbers, 1 or more")
    for p in options.p:
        with_task(load_params(), options.first, p, options.operation)
    print(f"{options.operation}, depth {options.depth}, kernels {options.kernels}\n{HEADER}", flush=True)
    pairs: dict[tuple[int, int], list[bool]] = {}
    found: list[Outcome] = []
    for outcome in outcomes(options):
        print(outcome, flush=True)
        found.append(outcome)
        pairs.setdefault((outcome.p, outcome.seed), []).append(outcome.as_expected)
    print("\n".join(ranges(found)), end="\n" if options.depth == "chain" else "")
    held = sum(map(all, pairs.values()))
    failed = ", ".join(f"p {p} seed {seed}" for (p, seed), good in sorted(pairs.items()) if not all(good))
    print(f"the story holds for {held} of {len(pairs)} pairs{f'; not for {failed}' if failed else ''}")
    return 0 if held == len(pairs) else 1


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.story", main))
