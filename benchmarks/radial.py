"""python -m benchmarks.radial: the three predictions of radial suppression, with and without the penalty.

Tiwari, Chauhan and Singh 2026 (arXiv 2606.32000) predict of a penalty on (|h| - radius)^2, h the last hidden
activations, that it (1) regularises the weights anisotropically, most where the inputs vary most; (2) lowers the share
of the gradient's energy that is radial, below that of an isotropic gradient; (3) leads to flatter minima.

A recipe runs with the penalty and without it (`none`), everything else equal: data, initial weights, seeds, budget.
`zero` draws to 0 and `root` to sqrt(width). `norms` has no penalty, but after every step each matrix is scaled to the
length that it has in the penalised run at that step: what the penalty does beyond shrinking whole matrices shows there.
benchmarks/radial_table.py has the definition of every number and the rule of every verdict.

  python -m benchmarks.radial --out radial.jsonl --table benchmarks/radial.md
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from benchmarks.lines import append, read
from benchmarks.outcome import digest_of
from benchmarks.protocols import PROTOCOLS
from benchmarks.radial_table import Key, Moment, Run, page
from interp.radial import input_alignment, last_hidden, radial_share, radial_share_of_rows, rate_rank_correlation
from interp.sharpness import hessian_product, inverse_temperature, noise_rise, relative_scales, top_eigenvalue
from pipeline.command_line import Parser, output_file
from pipeline.errors import UserError, reported
from pipeline.files import write_atomically
from pipeline.nets import Net, build_net
from pipeline.progress import Progress
from pipeline.recipe_files import RecipeBook
from pipeline.recipe_params import RecipeParams
from pipeline.validation import load_checked
from train.data import Data
from train.divergence import refuse_divergence
from train.environment import prepare
from train.losses import evaluate, training_loss
from train.recipes import initialise
from train.regularizers import norm_penalty
from train.schedules import multiplier
from train.step import Trainer

RECIPES = Path(__file__).parent / "recipes"
FITTED = 0.99
"""Train accuracy at which a run counts as fitted."""
LEVEL = 0.1
"""Train cross-entropy, in nats, to which the logits are scaled where nets are compared at equal loss."""
NOISE = 0.1
"""Standard deviation of the weight noise, in units of each tensor's RMS."""
DRAWS = 2
LANCZOS_STEPS = 30
LANCZOS_ERROR = 0.02
EVERY = 10
"""Steps between measurements of the gradient's shares; their mean is the average over training."""


@dataclass(frozen=True)
class Arm:
    """`penalty` is the recipe's own, its own to sqrt(width), or none; `norms_of` an arm whose lengths are imposed."""

    name: str
    penalty: Literal["own", "root", "none"] = "none"
    norms_of: str | None = None


@dataclass(frozen=True)
class Pairing:
    """One recipe of benchmarks/recipes/radial_<protocol>.yaml, in several arms that differ in the penalty only."""

    protocol: str
    recipe: str
    steps: int
    arms: tuple[Arm, ...]

    def recipe_of(self, arm: Arm) -> RecipeParams:
        """The recipe with the arm's penalty in place of its own."""
        recipe = load_checked(RECIPES / f"radial_{self.protocol}.yaml", RecipeBook).recipes[self.recipe]
        own = recipe.norm_penalty
        if own is None:
            raise UserError(f"radial_{self.protocol}.yaml: {self.recipe} has no norm_penalty to leave out; give it one")
        changed = {"own": own, "root": own.model_copy(update={"radius": None}), "none": None}
        return recipe.model_copy(update={"norm_penalty": changed[arm.penalty]})

    def keys(self, seed: int) -> list[Key]:
        """Those of its runs on one seed."""
        return [(self.protocol, self.recipe, arm.name, digest_of(self.recipe_of(arm)), seed) for arm in self.arms]


MUON = (Arm("none"), Arm("zero", "own"), Arm("norms", norms_of="zero"))
ADAMW = (Arm("none"), Arm("zero", "own"), Arm("root", "root"))
PAIRINGS = (
    Pairing("P1", "muon_radial", 100, MUON),
    Pairing("P1", "adamw_tuned", 150, ADAMW),
    Pairing("P2", "muon_radial", 100, MUON),
    Pairing("P2", "adamw_tuned", 200, ADAMW),
)
"""The radius of `zero` is .532 with Muon on P2: there it is that recipe's own."""


@dataclass(frozen=True)
class Shares:
    """Radial shares of the gradient of the cross-entropy, and of all that is descended, penalty included."""

    rows: float
    rows_descended: float
    weights: float
    weights_descended: float


def shares(net: Net, recipe: RecipeParams, data: Data) -> Shares:
    """Over the training set. Without a penalty both gradients are one."""
    weights = list(net.parameters())
    residual = net.residual(data.train.inputs)
    loss = training_loss(recipe.loss, recipe.temperature, net.readout(residual), data.train.targets)
    ce = torch.autograd.grad(loss, [residual, *weights], retain_graph=recipe.norm_penalty is not None)
    descended: Sequence[Tensor] = ce
    if recipe.norm_penalty is not None:
        penalty = norm_penalty(residual, recipe.norm_penalty)
        extra = torch.autograd.grad(penalty, [residual, *weights], materialize_grads=True)
        descended = [g + e for g, e in zip(ce, extra, strict=True)]
    h, plain = residual.detach(), [weight.detach() for weight in weights]
    return Shares(
        rows=radial_share_of_rows(ce[0], h),
        rows_descended=radial_share_of_rows(descended[0], h),
        weights=radial_share(ce[1:], plain),
        weights_descended=radial_share(descended[1:], plain),
    )


def mean_shares(measured: Sequence[Shares]) -> Shares:
    return Shares(*(sum(getattr(s, name) for s in measured) / len(measured) for name in Shares.__annotations__))


def last_layer(net: Net, recipe: RecipeParams, data: Data) -> tuple[float, float | None, float | None]:
    """The `alignment`, `penalty_along` and `rate_correlation` of a Moment."""
    layer, seen = last_hidden(net), []
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    residual = net.residual(data.train.inputs)
    handle.remove()
    weight, inputs = layer.weight.detach(), seen[0]
    alignment = input_alignment(weight, inputs)
    if recipe.norm_penalty is None:
        return alignment, None, None
    (gradient,) = torch.autograd.grad(norm_penalty(residual, recipe.norm_penalty), [layer.weight])
    return alignment, radial_share([gradient], [weight]), rate_rank_correlation(gradient, weight, inputs)


def measure(net: Net, recipe: RecipeParams, data: Data, step: int, hessian: bool) -> Moment:
    """Everything about a net at one moment; the top eigenvalues, which cost the most, only with `hessian`."""
    weights = list(net.parameters())
    pairs, answers = data.train.inputs, data.train.targets
    with torch.no_grad():
        logits = net(pairs)
    equal = inverse_temperature(logits, answers, LEVEL)

    def cross_entropy(scale: float) -> Float[Tensor, ""]:
        return F.cross_entropy(scale * net(pairs).double(), answers)

    def top(scale: float, units: Sequence[float] | None) -> float:
        product = hessian_product(cross_entropy(scale), weights, units)
        return top_eigenvalue(product, sum(w.numel() for w in weights), LANCZOS_STEPS, LANCZOS_ERROR).value

    loss, accuracy = evaluate(net, data.train)
    measured = shares(net, recipe, data)
    alignment, along, correlation = last_layer(net, recipe, data)
    return Moment(
        step=step,
        train_loss=loss,
        train_accuracy=accuracy,
        test_accuracy=evaluate(net, data.tried["test"])[1],
        length=float(torch.linalg.vector_norm(net.residual(pairs).detach(), dim=1).mean()),
        row_share=measured.rows,
        row_share_descended=measured.rows_descended,
        weight_share=measured.weights,
        weight_share_descended=measured.weights_descended,
        alignment=alignment,
        penalty_along=along,
        rate_correlation=correlation,
        inverse_temperature=equal,
        noise_rise=noise_rise(lambda: cross_entropy(1.0), weights, NOISE, DRAWS),
        noise_rise_equal_loss=noise_rise(lambda: cross_entropy(equal), weights, NOISE, DRAWS) if equal else None,
        top_eigenvalue=top(1.0, None) if hessian else None,
        top_relative_equal_loss=top(equal, relative_scales(weights)) if hessian and equal else None,
    )


def lengths(net: Net) -> list[float]:
    """Frobenius norm of every matrix."""
    return [torch.linalg.vector_norm(w).item() for w in net.parameters() if w.ndim == 2]


@torch.no_grad()
def impose(net: Net, targets: Sequence[float]) -> None:
    """Scale every matrix to the given Frobenius norm."""
    matrices = [w for w in net.parameters() if w.ndim == 2]
    for w, target in zip(matrices, targets, strict=True):
        w.mul_(target / torch.linalg.vector_norm(w))


def train(pairing: Pairing, arm: Arm, seed: int, imposed: Sequence[Sequence[float]]) -> tuple[Run, list[list[float]]]:
    """One run, and the lengths of its matrices after every step. Raises Diverged."""
    prepare()
    protocol = PROTOCOLS[pairing.protocol]
    recipe = pairing.recipe_of(arm)
    net = build_net(protocol.net)
    initialise(net, recipe.init, torch.Generator().manual_seed(seed))
    data, trainer = Data.of_pairs(protocol.task, protocol.fraction, seed), Trainer(net, recipe, seed)
    fit: Moment | None = None
    norms: list[list[float]] = []
    along_the_way: list[Shares] = []
    for step in range(pairing.steps):
        if step % EVERY == 0:
            along_the_way.append(shares(net, recipe, data))
        factor = multiplier(recipe.schedule, step, protocol.cycle_steps, protocol.steps)
        loss, accuracy, _ = trainer.step(data.train, factor)
        refuse_divergence(net, loss, step + 1, trainer.rates[0] * factor)
        if imposed:
            impose(net, imposed[step])
        norms.append(lengths(net))
        if fit is None and accuracy >= FITTED:
            fit = measure(net, recipe, data, step + 1, hessian=False)
    mean = mean_shares(along_the_way)
    run = Run(
        protocol=pairing.protocol,
        recipe=pairing.recipe,
        arm=arm.name,
        digest=digest_of(recipe),
        seed=seed,
        width=net.readout.in_features,
        row_share=mean.rows,
        row_share_descended=mean.rows_descended,
        weight_share=mean.weights,
        weight_share_descended=mean.weights_descended,
        fit=fit,
        end=measure(net, recipe, data, pairing.steps, hessian=True),
    )
    return run, norms


def run_arms(pairing: Pairing, seed: int) -> list[Run]:
    """All arms of a pairing on one seed."""
    runs: list[Run] = []
    norms: dict[str | None, list[list[float]]] = {None: []}
    for arm in pairing.arms:
        run, norms[arm.name] = train(pairing, arm, seed, norms[arm.norms_of])
        runs.append(run)
    return runs


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.radial", description=__doc__)
    parser.add_argument("--protocol", choices=("P1", "P2"), help="only this one (default: both)")
    parser.add_argument("--seeds", type=int, default=8, help="how many seeds, from --first (default: 8)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument(
        "--out", type=output_file, help="append every run to this file, and leave out what is there already"
    )
    parser.add_argument("--table", type=output_file, help="write the table to this file too")
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.first < 0:
        raise UserError(f"--seeds = {options.seeds}, --first = {options.first}: give 1 or more, and 0 or more")
    torch.set_num_threads(1)
    chosen = [pairing for pairing in PAIRINGS if options.protocol in (None, pairing.protocol)]
    seeds = range(options.first, options.first + options.seeds)
    records = read(options.out) if options.out is not None else []
    known = {run.key: run for run in map(Run.of, records)}
    runs: list[Run] = []
    with Progress("radial", len(chosen) * len(seeds), unit="job") as progress:
        for seed in seeds:
            for pairing in chosen:
                keys = pairing.keys(seed)
                if not known.keys() >= set(keys):
                    for run in run_arms(pairing, seed):
                        known[run.key] = run
                        if options.out is not None:
                            append(options.out, asdict(run))
                runs += [known[key] for key in keys]
                progress.advance(1, f"{pairing.protocol} {pairing.recipe} seed {seed}")
    text = page(runs)
    print(text)
    if options.table is not None:
        write_atomically(options.table, text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.radial", main))
