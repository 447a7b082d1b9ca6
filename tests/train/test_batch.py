"""Batches by hand: which examples are right, and that what lies behind the end of an example counts for nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.batch import Batch
from pipeline.nets import Net, Recurrent, RecurrentConfig
from pipeline.recipe_files import load_recipe
from pipeline.recipe_params import NormPenaltyParams, RecipeParams
from pipeline.tasks import Examples, padded
from pipeline.tasks.streaming import Stream, evaluation_sets, stream_examples, stream_task
from train.callbacks import exact_match
from train.data import Batches, Data
from train.losses import evaluate
from train.recipes import initialise
from train.step import Trainer

TASK = stream_task("addition", base=3)
STREAMS: list[Stream] = [
    ((1, 2), (0, 0)),
    ((2, 2), (1, 2), (2, 0), (0, 1), (0, 0)),
    ((2, 1),),
    ((1, 1), (2, 2), (0, 2), (1, 0), (2, 2), (1, 1), (0, 0)),
]
DIGITS = sum(len(stream) for stream in STREAMS)


class Given(nn.Module):
    """A net that says what it is told, whatever it reads."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits


YES, NO = [0.0, math.log(3.0)], [math.log(3.0), 0.0]
"""Logits of two answers; the second has probability 3/4, and 1/4."""


def three_streams() -> tuple[Batch, Tensor]:
    """Of 3, 2 and 1 positions, all of whose targets are 1: wrong at one, wrong behind the end alone, right."""
    mask = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])
    batch = Batch(torch.zeros(3, 3, 2, dtype=torch.int64), torch.ones(3, 3, dtype=torch.int64), mask)
    return batch, torch.tensor([[YES, NO, YES], [YES, YES, NO], [YES, YES, YES]])


def test_right_is_right_wherever_a_target_counts() -> None:
    batch, logits = three_streams()
    assert batch.right(logits).tolist() == [False, True, True]
    assert Batch(batch.inputs, batch.targets).right(logits).tolist() == [False, False, True]
    assert len(batch) == 3


def test_evaluation_of_streams_by_hand() -> None:
    """Five of the six targets that count have probability 3/4 and one 1/4; two of three streams are all right."""
    batch, logits = three_streams()
    nats, share = evaluate(Given(logits), batch)
    assert nats == pytest.approx((5 * math.log(4 / 3) + math.log(4)) / 6)
    assert share == pytest.approx(2 / 3)
    unmasked = Batch(batch.inputs, batch.targets)
    nats, share = evaluate(Given(logits), unmasked)
    assert nats == pytest.approx((7 * math.log(4 / 3) + 2 * math.log(4)) / 9)
    assert share == pytest.approx(1 / 3)


def test_evaluation_of_pairs_by_hand() -> None:
    batch = Batch(torch.zeros(4, 2, dtype=torch.int64), torch.tensor([1, 0, 1, 1]))
    logits = torch.tensor([YES, YES, NO, YES])
    assert batch.right(logits).tolist() == [True, False, False, True]
    nats, share = evaluate(Given(logits), batch)
    assert nats == pytest.approx((2 * math.log(4 / 3) + 2 * math.log(4)) / 4)
    assert share == 0.5


def test_exact_match_is_by_set_and_masked() -> None:
    batch, logits = three_streams()
    net = Given(logits)
    found = exact_match(net, {"short": batch, "whole": Batch(batch.inputs, batch.targets)})  # type: ignore[arg-type]
    assert found == {"short": pytest.approx(2 / 3), "whole": pytest.approx(1 / 3)}


def test_targets_and_values_are_in_the_same_order() -> None:
    batch = Batch.of(stream_examples(TASK, STREAMS))
    answers = [answer for stream in STREAMS for answer in TASK.reference(stream)]
    assert batch.answers.tolist() == answers
    told = batch.at_targets(batch.inputs.float())
    assert told.tolist() == [list(pair) for stream in STREAMS for pair in stream]


def test_padding_says_where_each_ends_and_nothing_where_all_are_as_long() -> None:
    examples = padded([[[1, 2]], [[3, 4], [5, 6]]], [np.array([7]), np.array([8, 9])])
    assert examples.mask is not None
    assert examples.inputs.tolist() == [[[1, 2], [0, 0]], [[3, 4], [5, 6]]]
    assert examples.targets.tolist() == [[7, 0], [8, 9]]
    assert examples.mask.tolist() == [[True, False], [True, True]]
    assert padded([[[1, 2]], [[3, 4]]], [np.array([7]), np.array([8])]).mask is None
    assert all(each.mask is None for each in evaluation_sets(TASK, (2, 3), 4, 0).values())


def test_some_examples_keep_their_ends() -> None:
    batch = Batch.of(stream_examples(TASK, STREAMS)).some(torch.tensor([2, 0]))
    assert batch.answers.tolist() == [*TASK.reference([(2, 1)]), *TASK.reference([(1, 2), (0, 0)])]
    whole = Batch(torch.zeros(3, 2, dtype=torch.int64), torch.arange(3)).some(torch.tensor([1]))
    assert (whole.mask, whole.targets.tolist()) == (None, [1])


def test_batches_of_streams_keep_their_ends() -> None:
    shown = Batch.of(stream_examples(TASK, STREAMS))
    batches = Batches(Data(shown, {}), 2, 0)
    given = [batches.next() for _ in range(2)]
    assert sum(len(batch.answers) for batch in given) == DIGITS
    assert sorted(answer for batch in given for answer in batch.answers.tolist()) == sorted(shown.answers.tolist())
    assert Data(shown, {}).test is None


def drawn() -> Recurrent:
    net = Recurrent(RecurrentConfig(TASK.n_left, TASK.n_right, TASK.n_answers, n_state=3, n_hidden=8))
    initialise(net, load_recipe("addition_standard").init, torch.Generator().manual_seed(2))
    return net


def stepped(net: Net, recipe: RecipeParams, batch: Batch) -> tuple[float, float, dict[str, float], dict[str, Tensor]]:
    """Loss, accuracy, measures and gradients of a step at rate 0; a stream of one pair has none at the state."""
    loss, accuracy, measured = Trainer(net, recipe, 0).step(batch, 0.0)
    gradients = {name: weight.grad.clone() for name, weight in net.named_parameters() if weight.grad is not None}
    return loss, accuracy, measured, gradients


@pytest.mark.parametrize("penalty", [None, NormPenaltyParams(strength=0.3, radius=0.5)])
@pytest.mark.parametrize("loss_kind", ["cross_entropy", "stablemax"])
def test_a_batch_is_its_streams_one_by_one_weighted_by_their_lengths(
    penalty: NormPenaltyParams | None, loss_kind: str
) -> None:
    changes = {"norm_penalty": penalty, "loss": loss_kind, "temperature": 1.3}
    recipe, net = load_recipe("addition_standard").model_copy(update=changes), drawn()
    loss, accuracy, measured, gradients = stepped(net, recipe, Batch.of(stream_examples(TASK, STREAMS)))
    assert gradients.keys() == dict(net.named_parameters()).keys()
    summed: dict[str, Tensor] = {name: torch.zeros_like(gradient) for name, gradient in gradients.items()}
    losses, accuracies, penalties = 0.0, 0.0, 0.0
    for stream in STREAMS:
        alone = Batch.of(stream_examples(TASK, [stream]))
        assert alone.mask is None
        nats, right, parts, gradient = stepped(net, recipe, alone)
        share = len(stream) / DIGITS
        losses, accuracies = losses + share * nats, accuracies + share * right
        penalties += share * parts.get("norm_penalty", 0.0)
        for name, value in gradient.items():
            summed[name] += share * value
    assert loss == pytest.approx(losses, rel=1e-5)
    assert accuracy == pytest.approx(accuracies)
    assert measured.get("norm_penalty", 0.0) == pytest.approx(penalties, rel=1e-5)
    assert all(gradient.abs().max() > 1e-4 for gradient in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, summed[name], atol=1e-6, rtol=1e-4)


def test_what_lies_behind_an_end_changes_nothing() -> None:
    """Neither its symbols nor its targets, to the bit."""
    plain = stream_examples(TASK, STREAMS)
    assert plain.mask is not None
    inputs, targets = plain.inputs.copy(), plain.targets.copy()
    inputs[~plain.mask] = 2
    targets[~plain.mask] = 1
    assert (inputs != plain.inputs).any()
    other, recipe = Examples(inputs, targets, plain.mask), load_recipe("addition_standard")
    (one, two) = (stepped(drawn(), recipe, Batch.of(examples)) for examples in (plain, other))
    assert one[:3] == two[:3]
    assert all(torch.equal(one[3][name], two[3][name]) for name in one[3])
    assert evaluate(drawn(), Batch.of(plain)) == evaluate(drawn(), Batch.of(other))
