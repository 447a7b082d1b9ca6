"""Students of a machine: the crowd is so many nets, pruning and rounding keep what they say, nothing is repaired."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compress.crowd import REACH, Crowd, Grid, Lessons
from compress.streaming import frontier, save_point
from pipeline.nets import Recurrent
from pipeline.params import StreamCompressParams
from pipeline.runs import load_snapshot
from pipeline.tasks.machine import Machine
from pipeline.tasks.streaming import stream_task

SMALL = StreamCompressParams(
    students=6,
    first_hidden=5,
    last_hidden=3,
    first_steps=200,
    cycle_steps=60,
    rounded_from=4,
    round_steps=40,
    most_bits=5,
)


def machine(name: str, **options: int) -> Machine:
    found = stream_task(name, **options).machine()
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "tied"), [("addition", True), ("parity", False)])
def test_a_net_of_the_crowd_computes_what_the_crowd_does(name: str, tied: bool) -> None:
    lessons = Lessons.of(machine(name))
    assert lessons.config.tied is tied
    crowd = Crowd.random(lessons, 5, 3, torch.Generator().manual_seed(0))
    for grid in (None, Grid(6, 2)):
        logits, following = crowd.outputs(crowd.weights, grid)
        net = crowd.net(1, grid)
        read = net.embed_left(lessons.left) + net.embed_right(lessons.right)
        hidden = torch.relu(read + net.state_in(lessons.state))
        torch.testing.assert_close(net.unembed(hidden), logits[1])
        torch.testing.assert_close(net.state_out(hidden), following[1])
    steps = torch.cat([weight.flatten() for weight in net.parameters()]) / Grid(6, 2).step
    assert torch.equal(steps, steps.round())
    assert steps.abs().max() <= 31


def test_lessons_are_every_corner_of_every_region() -> None:
    lessons = Lessons.of(machine("addition"))
    assert len(lessons.left) == 2 * 2 * 55  # states, corners, pairs with a <= b
    assert set(lessons.state.flatten().tolist()) == {0.0, REACH, 1 - REACH, 1.0}
    assert Lessons.of(machine("remainder")).config.n_state == 2


def test_a_child_is_its_parent_without_a_unit() -> None:
    crowd = Crowd.random(Lessons.of(machine("parity")), 3, 2, torch.Generator().manual_seed(0))
    children = crowd.without_one()
    assert (len(children), children.n_hidden) == (6, 2)
    silenced = [weight.clone() for weight in crowd.weights]
    silenced[3][:, 1], silenced[5][:, 1] = 0, 0  # unit 1 is read by nobody
    logits, following = crowd.outputs(tuple(silenced), None)
    smaller, smaller_following = children.outputs(children.weights, None)
    torch.testing.assert_close(smaller[2:4], logits)
    torch.testing.assert_close(smaller_following[2:4], following)


def test_closed_is_refused_to_a_net_that_is_wrong_once() -> None:
    lessons = Lessons.of(machine("parity"))
    crowd = Crowd.random(lessons, 16, 4, torch.Generator().manual_seed(0)).trained(300, (0.05,), None, 16.0)
    assert crowd.closed(None).any()
    other = replace(crowd, lessons=replace(lessons, answer=lessons.answer.clone().index_fill_(0, torch.tensor([0]), 1)))
    assert not other.closed(None).any()


def test_the_frontier_of_parity(tmp_path: Path) -> None:
    said: list[str] = []
    points = frontier(machine("parity"), SMALL, said.append)
    assert points
    assert said
    for point in points:
        snapshot = load_snapshot(save_point(point, stream_task("parity"), tmp_path), Recurrent)
        assert snapshot.net.config.n_hidden == point.n_hidden
        stream = torch.randint(0, 2, (4, 60, 1), generator=torch.Generator().manual_seed(0))
        pairs = torch.cat([stream, torch.zeros_like(stream)], dim=2)
        assert (snapshot.net(pairs).argmax(2) == stream[..., 0].cumsum(1) % 2).all()
        weights = torch.cat([weight.flatten() for weight in snapshot.net.parameters()]) * 2**point.fraction
        assert torch.equal(weights, weights.round())
        assert weights.abs().max() < 2 ** (point.bits - 1)


def test_a_wrong_machine_has_a_wrong_student() -> None:
    """Nothing is repaired: the student is of the machine, not of the task."""
    right = machine("parity")
    wrong = Machine(right.following, tuple(tuple((1 - row[0],) for row in rows) for rows in right.answers))
    points = frontier(wrong, SMALL, lambda _: None)
    assert points
    pairs = torch.tensor([[[1, 0], [1, 0], [0, 0]]])
    assert points[0].net(pairs).argmax(2).tolist() == [[0, 1, 1]]
