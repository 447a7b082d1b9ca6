"""N nets of one shape, trained by one recipe as one batched computation.

The weights of all nets lie in stacks [nets, ...]; forward and backward are one `torch.func.vmap`, and so is every part
of the update. Each net has its own split of the task, initial weights, batches and noise, those that its seed gives
it in `train.loop.fit`. The nets go through the same numbers as one by one, up to the rounding of sums that a batched
kernel takes in another order: within 2e-4 of every number in 12 steps, 1e-2 under Muon (tests/train/test_many.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.func import functional_call, vmap

from pipeline.errors import UserError
from pipeline.nets import Net, NetConfig, build_net
from pipeline.recipe_params import RecipeParams
from pipeline.tasks import Task
from train.data import Batches, Data
from train.divergence import Diverged
from train.environment import prepare
from train.history import Row
from train.loop import Budget, fit
from train.losses import accuracy, cross_entropy, is_plain, training_loss
from train.noise import ON_ACTIVATIONS, ActivationNoise, Draws, noise_generators, noisy_weights
from train.recipes import initialise
from train.regularizers import norm_penalty
from train.schedules import multiplier
from train.step import measures_of
from train.strength import strength
from train.update import Update
from train.weight_penalties import WeightPenalties

WORKING_SET = {"cpu": 16 * 2**20, "cuda": 2**33}
"""Bytes of hidden activations that are worth holding at once: about the caches of a core, and a share of a GPU."""


@dataclass(frozen=True)
class Fitted:
    """What one seed gave: its history up to the end or to where it diverged, and the net then."""

    seed: int
    history: list[Row]
    net: Net
    diverged: Diverged | None


class _Objective(nn.Module):
    """One net's loss on one batch, as a module, so that functional_call can put other weights in."""

    def __init__(self, net: Net, recipe: RecipeParams, noise: ActivationNoise) -> None:
        super().__init__()
        self.net, self.recipe, self.noise = net, recipe, noise

    def forward(
        self, pairs: Int[Tensor, "batch 2"], answers: Int[Tensor, " batch"], draws: Draws
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Loss with penalty, loss without, penalty, and the logits."""
        with self.noise.on(self.net, draws):
            residual = self.net.residual(pairs)
        logits = self.net.readout(residual)
        loss = training_loss(self.recipe.loss, self.recipe.temperature, logits, answers)
        penalty = loss.new_zeros(())
        if self.recipe.norm_penalty is not None:
            penalty = norm_penalty(residual, self.recipe.norm_penalty)
        return loss + penalty, loss, penalty, logits


class ManyTrainer:
    """As train.step.Trainer, for a stack of nets, one a seed."""

    def __init__(
        self, config: NetConfig, recipe: RecipeParams, seeds: Sequence[int], device: torch.device | str = "cpu"
    ) -> None:
        nets = [build_net(config) for _ in seeds]
        for net, seed in zip(nets, seeds, strict=True):
            initialise(net, recipe.init, torch.Generator().manual_seed(seed))
        self.config, self.recipe = config, recipe
        template = nets[0].to(device)
        names = {weight: name for name, weight in template.named_parameters()}
        stacks = {
            name: nn.Parameter(torch.stack([net.get_parameter(name).detach().to(device) for net in nets]))
            for name in names.values()
        }
        groups = {group: [stacks[names[w]] for w in ws] for group, ws in template.parameter_groups().items()}
        self.stacks = stacks
        self.update = Update(groups, recipe, stacked=True)
        self.rates = self.update.rates
        self.generators = noise_generators(seeds)
        self.noise = ActivationNoise(template, recipe)
        self.penalties = WeightPenalties(template, recipe)
        self.measures = measures_of(recipe)
        self.template, self.objective = template, _Objective(template, recipe, self.noise)

    def step(
        self, pairs: Int[Tensor, "nets batch 2"], answers: Int[Tensor, "nets batch"], factor: float, share: float = 0.0
    ) -> tuple[Float[Tensor, " nets"], Float[Tensor, " nets"], dict[str, Tensor]]:
        """Update every net once; cross-entropies, accuracies and measures as of Trainer.step, one number a net."""
        recipe, device = self.recipe, pairs.device
        measured: dict[str, Tensor] = {}
        self.penalties.look(self.stacks)
        self.update.clear()
        added = self.penalties.backward(self.stacks, share)
        with ExitStack() as noise:
            if recipe.weight_noise is not None:
                weights = [stack.detach() for stack in self.stacks.values()]
                context = noisy_weights(weights, strength(recipe.weight_noise, share), self.generators)
                measured["weight_noise"] = noise.enter_context(context)
            draws = self.noise.draws(pairs[0, ..., 0].numel(), self.generators, device)
            objectives, losses, penalties, logits = vmap(self._objective)(self.stacks, pairs, answers, draws)
            objectives.sum().backward()
        if recipe.norm_penalty is not None:
            measured["norm_penalty"] = penalties.detach()
        for name in ON_ACTIVATIONS:
            if name in self.measures:
                measured[name] = torch.full_like(losses.detach(), getattr(recipe, name))
        measured |= added | self.update(factor)
        measured |= self.penalties.remove({name: stack.detach() for name, stack in self.stacks.items()}, share)
        logits = logits.detach()
        if not is_plain(recipe.loss, recipe.temperature):
            losses = vmap(cross_entropy)(logits, answers)
        return losses.detach(), vmap(accuracy)(logits, answers), measured

    def _objective(
        self, weights: Mapping[str, Tensor], pairs: Tensor, answers: Tensor, draws: Draws
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        named = {f"net.{name}": weight for name, weight in weights.items()}
        return functional_call(self.objective, named, (pairs, answers, draws))

    @torch.no_grad()
    def evaluate(
        self, pairs: Int[Tensor, "nets n 2"], answers: Int[Tensor, "nets n"]
    ) -> tuple[Float[Tensor, " nets"], Float[Tensor, " nets"]]:
        """Cross-entropies in nats and accuracies."""
        logits = vmap(lambda weights, pairs: functional_call(self.template, weights, (pairs,)))(self.stacks, pairs)
        return vmap(_loss_and_accuracy)(logits, answers)

    def finite(self) -> Bool[Tensor, " nets"]:
        """Which nets have nothing but finite weights."""
        return torch.stack([stack.detach().flatten(1).isfinite().all(1) for stack in self.stacks.values()]).all(0)

    def net(self, index: int) -> Net:
        """A copy of one of them, on the CPU."""
        net = build_net(self.config)
        net.load_state_dict({name: stack.detach()[index].cpu() for name, stack in self.stacks.items()})
        return net


def fit_many(
    config: NetConfig,
    task: Task,
    recipe: RecipeParams,
    budget: Budget,
    seeds: Sequence[int],
    *,
    train_fraction: float,
    batch_size: int | None = None,
    at_once: int | None = None,
    stop_when: Callable[[int, Tensor], bool] | None = None,
    device: torch.device | str = "cpu",
) -> list[Fitted]:
    """Train one net a seed, as `fit` would each, `at_once` of them together (default: what fits the working set).

    A net trained alone goes through `fit` itself, which is quicker than a batch of one.

    `stop_when` sees the step and the test accuracies of those nets trained together that have not diverged, at every
    evaluation, and ends their training by True. A net that diverges ends there, and the others go on.
    """
    if at_once is not None and at_once < 1:
        raise UserError(f"at_once = {at_once}: give a whole number, 1 or more, or None")
    prepare()
    at_once = at_once or fitting(config, task, train_fraction, batch_size, torch.device(device))
    job = _Job(config, task, recipe, budget, train_fraction, batch_size, stop_when, device)
    groups = (seeds[i : i + at_once] for i in range(0, len(seeds), at_once))
    return [fitted for group in groups for fitted in ([job.alone(*group)] if len(group) == 1 else job.together(group))]


@dataclass(frozen=True)
class _Job:
    """The arguments of fit_many that hold for every group of seeds."""

    config: NetConfig
    task: Task
    recipe: RecipeParams
    budget: Budget
    train_fraction: float
    batch_size: int | None
    stop_when: Callable[[int, Tensor], bool] | None
    device: torch.device | str

    def alone(self, seed: int) -> Fitted:
        """One seed, by `fit`."""
        net, history = build_net(self.config), list[Row]()

        def collect(row: Row) -> bool:
            history.append({name: value for name, value in row.items() if name not in ("samples", "cpu_seconds")})
            accuracy, stop = row["test_accuracy"], self.stop_when
            return accuracy is not None and stop is not None and stop(row["step"], torch.tensor([accuracy]))

        diverged = None
        where = {"train_fraction": self.train_fraction, "batch_size": self.batch_size, "device": self.device}
        try:
            fit(net, self.task, self.recipe, self.budget, seed, stop_when=collect, **where)
        except Diverged as error:
            diverged = error
        return Fitted(seed, history, net.to("cpu"), diverged)

    def together(self, seeds: Sequence[int]) -> list[Fitted]:
        """Several, as one stack."""
        recipe, budget = self.recipe, self.budget
        trainer = ManyTrainer(self.config, recipe, seeds, self.device)
        datas = [Data.of_pairs(self.task, self.train_fraction, seed, self.device) for seed in seeds]
        batches = [Batches(data, self.batch_size, seed) for data, seed in zip(datas, seeds, strict=True)]
        tests = [data.tried["test"] for data in datas]
        test_pairs = torch.stack([test.inputs for test in tests])
        test_answers = torch.stack([test.targets for test in tests])
        whole = _stacked(batches) if self.batch_size is None else None
        histories: list[list[Row]] = [[] for _ in seeds]
        ended: dict[int, tuple[Diverged, Net]] = {}
        for step in range(budget.last):
            factor = multiplier(recipe.schedule, step, budget.cycle_steps, budget.steps)
            losses, accuracies, measured = trainer.step(*(whole or _stacked(batches)), factor, step / budget.steps)
            rate = trainer.rates[0] * factor
            good = (losses.isfinite() & trainer.finite()).tolist()
            for i in (i for i, fine in enumerate(good) if not fine and i not in ended):
                what = "a weight is not finite" if losses[i].isfinite() else f"the loss is {losses[i].item()}"
                ended[i] = Diverged(what, step + 1, rate), trainer.net(i)
            alive = [i for i in range(len(seeds)) if i not in ended]
            columns = {"train_loss": losses, "train_accuracy": accuracies} | {n: measured[n] for n in trainer.measures}
            done = not alive
            if budget.evaluated(step + 1) and test_answers.shape[1]:
                columns["test_loss"], columns["test_accuracy"] = trainer.evaluate(test_pairs, test_answers)
                done = done or (
                    self.stop_when is not None and self.stop_when(step + 1, columns["test_accuracy"][alive].cpu())
                )
            values = {name: column.tolist() for name, column in columns.items()}
            start: Row = {"step": step + 1, "cycle": step // budget.cycle_steps + 1, "lr": rate}
            for i in alive:
                row = {"test_loss": None, "test_accuracy": None} | {name: column[i] for name, column in values.items()}
                histories[i].append(start | row)
            if done:
                break
        nets = [ended[i][1] if i in ended else trainer.net(i) for i in range(len(seeds))]
        return [
            Fitted(seed, histories[i], nets[i], ended[i][0] if i in ended else None) for i, seed in enumerate(seeds)
        ]


def _stacked(batches: Sequence[Batches]) -> tuple[Int[Tensor, "nets batch 2"], Int[Tensor, "nets batch"]]:
    given = [batch.next() for batch in batches]
    return torch.stack([each.inputs for each in given]), torch.stack([each.targets for each in given])


def _loss_and_accuracy(logits: Float[Tensor, "n answers"], answers: Int[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    return cross_entropy(logits, answers), accuracy(logits, answers)


def fitting(config: NetConfig, task: Task, train_fraction: float, batch_size: int | None, device: torch.device) -> int:
    """How many nets' hidden activations fit the working set, for a training batch; one at least."""
    with torch.no_grad():
        _, cache = build_net(config).run_with_cache(torch.zeros(1, 2, dtype=torch.int64))
    floats = sum(h.numel() for h in cache.values()) + task.n_answers
    rows = batch_size or int(train_fraction * len(task.answers()))
    return max(1, WORKING_SET[device.type] // (4 * rows * floats))
