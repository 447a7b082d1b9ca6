"""python -m benchmarks.many: N nets trained as one batched computation, against the same nets one after another.

Both do the same work, optimiser and measures included, from the same initial weights. Throughput is nets times steps
a second; the ratio is what batching gains. On the CPU `train.many` batches only as many nets as their activations fit
the caches, and none where a single net fills them.

  python -m benchmarks.many --nets 16 --steps 20
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import torch

from benchmarks.timing import take_turns
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.nets import MlpConfig, NetConfig, TransformerConfig, build_net
from pipeline.recipe_files import load_recipe
from pipeline.recipe_params import RecipeParams
from pipeline.tasks import ModularTask
from train.loop import Budget, fit
from train.many import fit_many, fitting
from train.run import pick_device

FRACTION = 0.4


def mlp(p: int, width: int) -> MlpConfig:
    return MlpConfig(p, p, p, d_embed=width, widths=(width, width))


CASES: Mapping[str, tuple[int, NetConfig]] = {
    "MLP of width 32, mod 31": (31, mlp(31, 32)),
    "MLP of width 64, mod 59": (59, mlp(59, 64)),
    "MLP of width 200, mod 113": (113, mlp(113, 200)),
    "transformer, mod 59": (59, TransformerConfig(59)),
    "transformer, mod 113": (113, TransformerConfig(113)),
}


def ways(
    p: int, config: NetConfig, recipe: RecipeParams, nets: int, steps: int, device: torch.device
) -> dict[str, Callable[[], object]]:
    """Both ways of training the nets of seeds 0 to nets - 1; the held-out pairs are looked at once, at the end."""
    task, budget = ModularTask(p), Budget(steps, steps, steps)

    def one_by_one() -> None:
        for seed in range(nets):
            net = build_net(config)
            fit(net, task, recipe, budget, seed, train_fraction=FRACTION, device=device)

    def together() -> None:
        fit_many(config, task, recipe, budget, range(nets), train_fraction=FRACTION, device=device)

    return {"one by one": one_by_one, "together": together}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.many", description=__doc__)
    parser.add_argument("--nets", type=int, default=16, help="how many (default: 16)")
    parser.add_argument("--steps", type=int, default=20, help="steps of each (default: 20)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of both ways (default: 3)")
    parser.add_argument("--recipes", nargs="+", default=["standard", "catapult"], help="names in train/recipes")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options = parser.parse_args(arguments)
    if min(options.nets, options.steps, options.repeats) < 1:
        raise UserError("--nets, --steps and --repeats: give whole numbers, 1 or more")
    device = pick_device(options.device)
    recipes = {name: load_recipe(name) for name in options.recipes}
    where = f"{torch.get_num_threads()} thread(s)" if device.type == "cpu" else torch.cuda.get_device_name(device)
    print(f"{options.nets} nets, {options.steps} steps, {device.type}, {where}, torch {torch.__version__}\n")
    print("| net | recipe | at once | one by one, steps a second | together | ratio |\n|---|---|---|---|---|---|")
    for name, (p, config) in CASES.items():
        at_once = min(options.nets, fitting(config, ModularTask(p), FRACTION, None, device))
        for recipe, chosen in recipes.items():
            variants = ways(p, config, chosen, options.nets, options.steps, device)
            costs = take_turns(variants, options.repeats, lambda: None)
            walls = {way: median(cost.wall for cost in own) for way, own in costs.items()}
            rates = [f"{options.nets * options.steps / wall:,.0f}" for wall in walls.values()]
            ratio = walls["one by one"] / walls["together"]
            print(f"| {name} | {recipe} | {at_once} | {rates[0]} | {rates[1]} | {ratio:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.many", main))
