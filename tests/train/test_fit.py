"""The plain fit: the same numbers as a run, for any net and task, in batches or not."""

import csv
from pathlib import Path

import pytest
import torch

from pipeline.batch import Batch
from pipeline.errors import UserError
from pipeline.nets import Mlp, MlpConfig, Net, Transformer, TransformerConfig
from pipeline.recipe_params import AdamWParams, GrokfastParams, RecipeParams, StrengthParams
from pipeline.tasks import ModularTask, PermutationTask, Task
from tests.train.small_runs import RECIPES, small_experiment
from train.data import Batches, Data
from train.divergence import Diverged
from train.history import Row
from train.loop import Budget, fit
from train.losses import evaluate
from train.recipes import initialise
from train.run import train_run
from train.step import Trainer

TASK = ModularTask(11)


def small_net() -> Transformer:
    return Transformer(TransformerConfig(p=11, d_model=16, n_heads=4, d_head=4, d_mlp=32))


def rates(history: list[Row]) -> list[float]:
    return [row["lr"] for row in history]


def losses(history: list[Row]) -> list[float]:
    return [row["train_loss"] for row in history]


@pytest.mark.parametrize("recipe", ["standard", "catapult"])
def test_fit_is_what_a_run_does(tmp_path: Path, recipe: str) -> None:
    experiment = small_experiment(tmp_path, recipe)
    run = train_run(experiment, tmp_path / "out", tmp_path / "state")
    history = fit(small_net(), TASK, experiment.parts, Budget(24, 4, 3), 0, train_fraction=0.3)
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    assert [f"{value:.6g}" for value in losses(history)] == [row["train_loss"] for row in rows]
    tested = [None if row["test_accuracy"] is None else f"{row['test_accuracy']:.6g}" for row in history]
    assert tested == [row["test_accuracy"] or None for row in rows]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("net", "task", "batch_size"),
    [
        (Mlp(MlpConfig(11, 11, 11, d_embed=8, widths=(12, 12))), ModularTask(11, "multiplication"), 30),
        (Mlp(MlpConfig(120, 120, 120, d_embed=8, widths=(12,))), PermutationTask(), 600),
    ],
    ids=["multiplication", "permutations"],
)
def test_every_recipe_lowers_the_loss_of_other_nets_and_tasks(
    net: Net, task: Task, batch_size: int, recipe: str
) -> None:
    """On all training pairs: the loss of one batch rises and falls with the batch."""
    data = Data.of_pairs(task, 0.5, 0)
    initialise(net, RECIPES[recipe].init, torch.Generator().manual_seed(0))
    before, _ = evaluate(net, data.train)
    history = fit(net, task, RECIPES[recipe], Budget(15, 5, 5), 0, batch_size=batch_size, train_fraction=0.5)
    assert len(history) == 15
    assert history[-1]["samples"] == 15 * batch_size
    after, _ = evaluate(net, data.train)
    assert after < before


def test_methods_at_zero_change_nothing() -> None:
    plain = RECIPES["standard"]
    zeros = {"weight_noise": StrengthParams(value=0.0), "activation_noise": 0.0, "dropout": 0.0}
    gradient = GrokfastParams(kind="grokfast", lamb=0.0)
    histories = [
        fit(small_net(), TASK, recipe, Budget(8, 4, 4), 0, train_fraction=0.3)
        for recipe in (plain, plain.model_copy(update={**zeros, "gradient": gradient}))
    ]
    assert losses(histories[0]) == losses(histories[1])


@pytest.mark.parametrize("key", ["weight_noise", "activation_noise", "dropout"])
def test_noise_changes_the_training_and_depends_on_the_seed_alone(key: str) -> None:
    value = StrengthParams(value=0.2) if key == "weight_noise" else 0.2
    recipe = RECIPES["standard"].model_copy(update={key: value})
    first, again = (losses(fit(small_net(), TASK, recipe, Budget(4, 4, 4), 0, train_fraction=0.3)) for _ in range(2))
    assert first == again
    assert first != losses(fit(small_net(), TASK, RECIPES["standard"], Budget(4, 4, 4), 0, train_fraction=0.3))


def test_constraints_hold_at_the_end() -> None:
    net = small_net()
    recipe = RECIPES["muon_capped"]
    spectral, rows = (constraint.max_norm * (1 + 1e-5) for constraint in recipe.constraints)
    optimizer = recipe.optimizer.model_copy(update={"lr": 1.0})
    others = AdamWParams(kind="adamw", lr=1.0, weight_decay=0.0)
    fast = recipe.model_copy(update={"optimizer": optimizer, "embeddings": others, "readout": others})
    history = fit(net, TASK, fast, Budget(8, 4, 4), 0, train_fraction=0.3)
    assert history[-1]["constraints"] > 0
    assert all(torch.linalg.matrix_norm(weight, 2) <= spectral for weight in net.parameter_groups()["matrices"])
    assert all(weight.norm(dim=1).max() <= rows for weight in (net.embed.weight, net.unembed.weight))


def test_stop_when_ends_it_and_the_schedule_is_that_of_the_budget() -> None:
    recipe = RECIPES["standard"].model_copy(
        update={"schedule": RECIPES["standard"].schedule.model_copy(update={"kind": "cosine", "warmup_steps": 0})}
    )
    whole = fit(small_net(), TASK, recipe, Budget(12, 4, 5), 0, train_fraction=0.3)
    assert [row["step"] for row in whole if row["test_loss"] is not None] == [4, 5, 8, 10, 12]
    stopped = fit(
        small_net(), TASK, recipe, Budget(12, 4, 5), 0, train_fraction=0.3, stop_when=lambda row: row["step"] == 7
    )
    assert [row["step"] for row in stopped] == list(range(1, 8))
    assert rates(stopped) == rates(whole)[:7]
    ends = recipe.model_copy(update={"schedule": recipe.schedule.model_copy(update={"horizon": 12})})
    beyond = fit(small_net(), TASK, ends, Budget(20, 4, 5), 0, train_fraction=0.3)
    assert losses(beyond)[:12] == losses(whole)
    assert set(rates(beyond)[12:]) == {0.0}


def test_divergence_names_the_step_and_the_rate() -> None:
    optimizer = RECIPES["standard"].optimizer.model_copy(update={"lr": 1e30})
    recipe: RecipeParams = RECIPES["standard"].model_copy(update={"optimizer": optimizer})
    with pytest.raises(Diverged) as caught:
        fit(small_net(), TASK, recipe, Budget(12, 4, 4), 0, train_fraction=0.3)
    assert caught.value.rate == pytest.approx(1e29 * caught.value.step)


def test_batches_are_a_pass_over_all_pairs_without_repetition() -> None:
    task = ModularTask(5)
    data = Data.of_pairs(task, 0.5, 0)
    batches = Batches(data, 4, 0)
    given = [batches.next() for _ in range(3)]
    seen = [tuple(pair) for batch in given for pair in batch.inputs.tolist()]
    assert sorted(seen) == sorted(tuple(pair) for pair in data.train.inputs.tolist())
    assert [answer for batch in given for answer in batch.targets.tolist()] == [task.reference(*pair) for pair in seen]
    full = Batches(data, None, 0).next()
    assert torch.equal(full.inputs, data.train.inputs)
    assert torch.equal(full.targets, data.train.targets)
    with pytest.raises(UserError, match="batch_size = 13: there are 12 training examples"):
        Batches(data, 13, 0)


def test_the_precision_of_products_is_that_of_the_step_alone() -> None:
    """Seen from within a forward pass; afterwards, even after an error, it is what it was."""
    seen: list[str] = []
    net = small_net()
    net.unembed.register_forward_hook(lambda *_: seen.append(torch.get_float32_matmul_precision()))
    data = Data.of_pairs(TASK, 0.5, 0)
    for matmul in ("medium", "highest"):
        Trainer(net, RECIPES["standard"], 0, matmul).step(data.train, 1.0)
    assert seen == ["medium", "highest"]
    beyond = Batch(data.train.inputs + 100, data.train.targets)
    with pytest.raises(IndexError):
        Trainer(net, RECIPES["standard"], 0, "medium").step(beyond, 1.0)
    assert torch.get_float32_matmul_precision() == "highest"
