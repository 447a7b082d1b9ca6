"""python -m benchmarks.speed: what a full-batch training step and the analysis of a run cost.

The variants take turns, so that whatever else the machine does falls on all of them alike. CPU time adds up over
threads and counts this process alone; wall time is what one waits, and is only worth something on an idle machine.

    looked up   the step of train.loop: keys and values once a token, then looked up by pair
    general     the same step through the net's general path, which any hook on its input makes it take
    TL native   the same shape as a model of TransformerLens (TransformerBridge.boot_native), AdamW on everything
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW
from transformer_lens.hook_points import HookPoint

from benchmarks.defaults import modular_experiment, modular_task, transformer
from benchmarks.timing import WARM_UP, Cost, cost_of, take_turns
from interp.analyse import analyse_run
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.experiment import Experiment
from pipeline.nets import Transformer
from pipeline.params import InterpParams, load_params
from pipeline.progress import Progress
from pipeline.recipe_params import AdamWParams
from pipeline.runs import Run
from train.data import Data
from train.environment import prepare
from train.losses import accuracy, cross_entropy
from train.run import first_net
from train.step import Trainer


def data_of(experiment: Experiment) -> Data:
    return Data.of(experiment.task.split(experiment.train.seed))


def our_step(experiment: Experiment, data: Data, general: bool) -> Callable[[], object]:
    """A training step of ours on a fresh net; `general` puts an identity hook on the net's input."""
    net = first_net(experiment)
    trainer = Trainer(net, experiment.parts, experiment.train.seed)
    if general:
        assert isinstance(net, Transformer)
        net.hook_embed.add_hook(identity)
    return lambda: trainer.step(data.train, 1.0)[:2]


def identity(tensor: Tensor, *, hook: HookPoint) -> Tensor:
    return tensor


def native_net(experiment: Experiment) -> nn.Module:
    """The same shape as TransformerLens builds it: no norms, logits at every position, biases in attention as well."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    p = modular_task(experiment).p
    shape: dict[str, Any] = {
        "n_layers": 1,
        "n_ctx": 3,
        **transformer(experiment).widths(),
        "d_vocab": p + 1,
        "d_vocab_out": p,
        "act_fn": "relu",
        "normalization_type": None,
        "seed": experiment.train.seed,
    }
    return vars(TransformerBridge)["boot_native"].__func__(TransformerBridgeConfig(**shape))


def native_step(experiment: Experiment, data: Data) -> Callable[[], object]:
    """The same batch, loss and accuracy by TransformerLens's net."""
    net, recipe, rates = native_net(experiment), experiment.parts, experiment.parts.optimizer
    if not isinstance(rates, AdamWParams):
        raise ValueError("the native net is timed under an AdamW recipe")
    optimizer = AdamW(net.parameters(), lr=rates.lr, betas=rates.betas, weight_decay=rates.weight_decay)
    pairs, answers = data.train.inputs, data.train.targets
    equals = pairs.new_full((len(pairs), 1), modular_task(experiment).p)
    tokens = torch.cat([pairs, equals], dim=1)

    def step() -> None:
        logits = net(tokens)[:, -1]
        loss = F.cross_entropy(logits.double() * recipe.temperature, answers)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        cross_entropy(logits.detach(), answers).item()
        accuracy(logits.detach(), answers).item()

    return step


def row(name: str, threads: int, costs: list[Cost], base: list[Cost]) -> str:
    """Medians in ms, least to greatest of the CPU time, and both as multiples of `base`."""
    cpu, wall = [1000 * cost.cpu for cost in costs], [1000 * cost.wall for cost in costs]
    ratios = median(cpu) / 1000 / median(c.cpu for c in base), median(wall) / 1000 / median(c.wall for c in base)
    spread = f"{median(cpu):.1f} ({min(cpu):.1f} to {max(cpu):.1f})"
    return f"| {name} | {threads} | {spread} | {median(wall):.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"


HEADER = """\
| step | threads | CPU ms, median (least to greatest) | wall ms, median | CPU, times looked up | wall, times looked up |
|---|---|---|---|---|---|"""


def analysis_line(run: Path, params: InterpParams, repeats: int) -> str:
    """Seconds to analyse a run that is there, or a line that says it is not."""
    if not (run / "params.json").exists():
        return f"Analysis: {run} is not there; `make repro` trains it."
    with tempfile.TemporaryDirectory() as directory:
        costs = [cost_of(lambda: analyse_run(run, Path(directory) / "out", params)) for _ in range(repeats)]
    cpu, wall = median(cost.cpu for cost in costs), median(cost.wall for cost in costs)
    return (
        f"Analysis of {run}, {len(Run.open(run).snapshots)} snapshots, {torch.get_num_threads()} thread(s), "
        f"median of {repeats}: {cpu:.1f} s CPU, {wall:.1f} s wall."
    )


def steps_of(experiments: Mapping[str, Experiment]) -> tuple[dict[str, Callable[[], object]], str]:
    """Every variant of the step by name, and a line of explanation where TransformerLens's is missing."""
    variants: dict[str, Callable[[], object]] = {}
    for name, experiment in experiments.items():
        data = data_of(experiment)
        variants[f"{name}, looked up"] = our_step(experiment, data, general=False)
        variants[f"{name}, general"] = our_step(experiment, data, general=True)
    standard = experiments["standard"]
    try:
        variants["standard, TL native"] = native_step(standard, data_of(standard))
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        return variants, f"No TransformerLens row: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return variants, ""


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--repeats", type=int, default=15, help="timed steps of each variant (default: 15)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="thread counts (default: 1 2)")
    options = parser.parse_args(arguments)
    if options.repeats < 1 or min(options.threads) < 1:
        raise UserError(f"--repeats = {options.repeats}, --threads = {options.threads}: give whole numbers, 1 or more")
    prepare()
    params = load_params()
    experiments = {name: modular_experiment(params, name) for name in ("standard", "catapult")}
    variants, missing = steps_of(experiments)
    task = modular_task(experiments["standard"])
    pairs = int(task.train_fraction * task.p**2)
    print(f"{task.task()}, {pairs} pairs a step, {os.cpu_count()} cores, torch {torch.__version__}\n\n{HEADER}")
    analyses: list[str] = []
    with Progress("speed", len(options.threads) * (WARM_UP + options.repeats), unit="turn") as progress:
        for threads in options.threads:
            torch.set_num_threads(threads)
            costs = take_turns(variants, options.repeats, progress.advance)
            for name, own in costs.items():
                print(row(name, threads, own, costs[f"{name.partition(',')[0]}, looked up"]), flush=True)
            analyses.append(analysis_line(Path("runs") / experiments["catapult"].name, params.interp, 3))
    print("\n" + "\n".join(filter(None, [missing, *analyses])))
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.speed", main))
