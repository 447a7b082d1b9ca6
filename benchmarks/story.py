"""python -m benchmarks.story: does the same story come out for other seeds and other primes?

For every seed and recipe the whole chain is run: train, analyse, compress, extract, prove. The story holds for a seed
when the catapult run ends in `algorithm` and is proved, with 0 wrong answers, and the standard run ends in
`memorising` and is refuted.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from compress.ladder import compress_run
from interp.analyse import analyse_run
from pipeline.command_line import Parser
from pipeline.errors import reported
from pipeline.files import snapshot_paths
from pipeline.params import PipelineParams, checked, load_params
from train.loop import train_run
from verify.run import Nets, verify_run

EXPECTED = {"catapult": ("algorithm", "Proved"), "standard": ("memorising", "Refuted")}


@dataclass(frozen=True)
class Outcome:
    """What came of one run."""

    seed: int
    recipe: str
    test_accuracy: float
    transition: int | None
    phase: str
    parameters: int
    compression: float
    wrong: int
    verdict: str

    @property
    def as_expected(self) -> bool:
        return (self.phase, self.verdict) == EXPECTED[self.recipe]

    def __str__(self) -> str:
        transition = "none" if self.transition is None else str(self.transition)
        return (
            f"{self.seed:>4}  {self.recipe:<8}  {self.test_accuracy:>8.2%}  {transition:>10}  {self.phase:<17}  "
            f"{self.parameters:>10,}  {self.compression:>5.1f}x  {self.wrong:>6,}  {self.verdict:<8}"
            f"  {'' if self.as_expected else 'NOT THE STORY'}"
        ).rstrip()


HEADER = "seed  recipe    test acc  transition  phase at the end   parameters  small   wrong  verdict"


def run_one(params: PipelineParams, recipe: str, root: Path) -> Outcome:
    """The whole chain for one recipe."""
    config = params.run_config(recipe)
    run, analysis, compressed = (root / name / config.key for name in ("runs", "analysis", "compressed"))
    train_run(config, run, root / "state")
    phases = analyse_run(run, analysis, params.interp)
    ladder = compress_run(run, analysis, compressed, params.compress)
    nets = Nets(
        trained=snapshot_paths(run)[-1],
        pruned=compressed / "pruned.safetensors",
        student=compressed / "student_float.safetensors",
        integer=compressed / "student.safetensors",
    )
    summary = verify_run(nets, root / "proofs" / config.key, params.verify.timeout)
    last = json.loads((analysis / "phases.json").read_text())
    return Outcome(
        seed=config.train.seed,
        recipe=recipe,
        test_accuracy=phases.measures[-1].test_accuracy,
        transition=phases.transition_cycle,
        phase=last["final_phase"],
        parameters=ladder.rungs[-1].parameters,
        compression=ladder.compression,
        wrong=ladder.rungs[-1].wrong,
        verdict=type(summary.verdict).__name__,
    )


def with_task(params: PipelineParams, seed: int, p: int, operation: str) -> PipelineParams:
    """The parameters of params.yaml with another seed and task, checked again."""
    values = params.model_dump(mode="json")
    values["train"]["seed"] = seed
    values["task"] |= {"p": p, "operation": operation}
    return checked(values, PipelineParams, "--seeds, --first, --p")


def main() -> int:
    parser = Parser(prog="python -m benchmarks.story", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds, from --first (default: 10)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument("--p", type=int, default=113, help="modulus, a prime (default: 113)")
    parser.add_argument("--operation", default="addition", choices=("addition", "subtraction"))
    options = parser.parse_args()
    params = load_params()
    print(f"(a {'+' if options.operation == 'addition' else '-'} b) mod {options.p}\n{HEADER}", flush=True)
    held = 0
    for seed in range(options.first, options.first + options.seeds):
        chosen = with_task(params, seed, options.p, options.operation)
        with tempfile.TemporaryDirectory() as directory:
            outcomes = [run_one(chosen, recipe, Path(directory)) for recipe in EXPECTED]
        held += all(outcome.as_expected for outcome in outcomes)
        print("\n".join(map(str, outcomes)), flush=True)
    print(f"the story holds for {held} of {options.seeds} seeds")
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.story", main))
