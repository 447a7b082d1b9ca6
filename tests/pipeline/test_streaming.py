"""Streaming tasks against Python's integers, their machines, and the recurrent net by hand."""

import importlib
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.nets import Recurrent, RecurrentConfig
from pipeline.runs import Snapshot, load_snapshot, save_snapshot
from pipeline.tasks import streams
from pipeline.tasks.machine import Machine
from pipeline.tasks.streaming import StreamTask, evaluation_sets, known_streams, stream_task, stream_task_from
from pipeline.tasks.streams.addition import value

EVERY = [*(stream_task("addition", base=base) for base in (2, 3, 10, 16)), stream_task("parity")]
EVERY += [stream_task("remainder"), stream_task("parentheses")]


@pytest.mark.parametrize("base", [2, 3, 10, 16])
def test_addition_is_that_of_pythons_integers(base: int) -> None:
    task = stream_task("addition", base=base)
    rng = np.random.default_rng(0)
    for length in (1, 4, 40):
        for batch in (task.random(20, length, rng), task.hard(20, length, rng)):
            assert batch.shape == (20, length, 2)
            assert batch.min() >= 0
            assert batch.max() < base
            for stream in task.flushed(batch).tolist():
                a, b = (value(digits, base) for digits in zip(*stream, strict=True))
                assert value(task.reference(stream), base) == a + b


def test_hard_operands_are_carry_chains_sums_of_nine_and_nines_plus_one() -> None:
    task = stream_task("addition", base=10)
    batch = task.hard(60, 30, np.random.default_rng(1))
    values = [tuple(value(digits, 10) for digits in zip(*stream, strict=True)) for stream in batch.tolist()]
    assert (10**30 - 1, 1) in values or (1, 10**30 - 1) in values
    sums = batch.sum(axis=2)
    assert (sums == 9).all(axis=1).sum() >= 20
    assert ((sums == 9).mean(axis=1) > 0.7).sum() >= 35


@pytest.mark.parametrize("task", EVERY, ids=lambda task: task.key)
def test_the_machine_follows_the_task_and_has_as_many_states_as_it_needs(task: StreamTask) -> None:
    machine = task.machine()
    states = {"addition": 2, "parity": 2, "remainder": 3}
    if task.name == "parentheses":
        assert machine is None
        return
    assert machine is not None
    assert machine.n_states == states[task.name]
    stream = [tuple(pair) for pair in task.random(1, 300, np.random.default_rng(0))[0].tolist()]
    assert machine.run(stream) == task.reference(stream)
    assert stream_task_from(task.to_dict()) == task


def test_a_machine_is_the_same_up_to_the_names_of_its_states() -> None:
    reference = stream_task("remainder").machine()
    assert reference is not None
    order = [0, *random.Random(0).sample(range(1, 6), 5)]  # every state twice, shuffled; twin of q is q + 3
    place = {old: new for new, old in enumerate(order)}

    def rows(table: object, renamed: bool) -> tuple:
        return tuple(
            tuple(tuple(place[cell + 3 * (old < 3)] if renamed else cell for cell in row) for row in table[old % 3])  # type: ignore[index]
            for old in order
        )

    doubled = Machine(rows(reference.following, True), rows(reference.answers, False))
    assert doubled.n_states == 6
    assert doubled.minimised() == reference
    assert doubled.same_as(reference)
    broken = Machine(doubled.following, ((*doubled.answers[0][:1], ((0,))), *doubled.answers[1:]))
    assert not broken.same_as(reference)


def test_balanced_parentheses() -> None:
    task = stream_task("parentheses")
    assert task.reference([(0, 0), (0, 0), (1, 0), (1, 0), (1, 0), (0, 0)]) == [0, 0, 0, 1, 0, 0]


@dataclass(frozen=True)
class Constant(StreamTask):
    """Always the same answer, which need not be one."""

    n: int
    answer: int = 0
    initial: Any = 0

    @property
    def n_left(self) -> int:
        return 2

    @property
    def n_right(self) -> int:
        return 1

    @property
    def n_answers(self) -> int:
        return self.n

    def step(self, state: Any, a: int, b: int) -> tuple[Any, int]:
        return state, self.answer


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: stream_task("addition", base=1), "base = 1: give a whole number from 2 to 16"),
        (lambda: stream_task("multiplication"), "known: addition, parentheses, parity, remainder"),
        (lambda: stream_task("addition", bass=10), r"no option 'bass' \(options: base\); take it out"),
        (lambda: stream_task("parity", base=10), r"'parity': it has no option 'base' \(options: none\)"),
        (lambda: stream_task("parity", base=10), r"take it out with -S '~tasks\.NAME\.options\.base'"),
        (lambda: stream_task("remainder", base=2.0), "whole numbers from 2 to 16"),
        (lambda: stream_task_from([]), "give a name and its options"),  # type: ignore[arg-type]
        (lambda: Constant(1).checked(), "at least two answers"),
        (lambda: Constant(2, 5).checked(), "answer = 5"),
        (lambda: Constant(2, True).checked(), "answer = True"),
        (lambda: Constant(2, 0, []).checked(), "states are hashable"),
        (lambda: stream_task("parity").training_set(0, 4, 0), "examples = 0"),
        (lambda: stream_task("parity").training_set(501, 4, 0), "examples = 501"),
        (lambda: stream_task("parity").training_set(10, 5, 0), "digits = 5"),
    ],
)
def test_bad_input_is_one_line(make: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        make()  # type: ignore[operator]


HEAD = "from dataclasses import dataclass\nfrom pipeline.tasks.streaming import StreamTask\n"
CLASS = HEAD + "@dataclass(frozen=True)\nclass Task(StreamTask):\n    n_left = 2\n    n_right = 1\n    n_answers = 2\n"
STEP = CLASS + "    def step(self, state, a, b):\n        "


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            STEP + "return [][0]",
            ": step(0, 0, 0) fails: IndexError: list index out of range; give (next state, answer)",
        ),
        (STEP + "return a // a, 0", ": step(0, 0, 0) fails: ZeroDivisionError: "),
        (STEP + "raise KeyError('two\\nlines')", ": step(0, 0, 0) fails: KeyError: "),
        (STEP + "return 1 // (1 - a), 0", ": step(0, 1, 0) fails: ZeroDivisionError: "),
        (STEP + "return 0", ": step(0, 0, 0) = 0: give (next state, answer)"),
        (STEP + "return 0, 0, 0", ": step(0, 0, 0) = (0, 0, 0): give (next state, answer)"),
        (STEP + "return [], 0", ": step(0, 0, 0) = ([], 0): states are hashable: give a number or a tuple"),
        ("", ": has no class `Task`: add a frozen dataclass Task(StreamTask)"),
        ("Task = 3", ": its `Task` is no dataclass of StreamTask: add a frozen dataclass Task(StreamTask)"),
        ("class Task:\n    pass", ": its `Task` is no dataclass of StreamTask: add"),
        (HEAD + "class Task(StreamTask):\n    pass", ": its `Task` is no dataclass of StreamTask: add"),
        (CLASS, ": Task(**{}) fails: TypeError: Can't instantiate abstract class Task"),
        ("def f(:", ": cannot be imported: SyntaxError: invalid syntax"),
        ("import no_such_module", ": cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", ": cannot be imported: ZeroDivisionError: division by zero; mend the file"),
        (CLASS + "    initial = []\n" + STEP.removeprefix(CLASS) + "return 0, 0", ": TypeError: unhashable"),
        (STEP + "return 0, 0\n    @property\n    def n_left(self): return self.base", ": AttributeError: "),
        (STEP + "return 0, 0\n    def __post_init__(self): [][0]", ": Task(**{}) fails: IndexError: "),
    ],
)
def test_a_broken_file_is_one_line_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    place(tmp_path, monkeypatch, text)
    with pytest.raises(UserError) as caught:
        stream_task("tried")
    assert str(caught.value).startswith("pipeline/tasks/streams/tried.py" + says)
    assert "\n" not in str(caught.value)


def test_a_file_is_a_task_with_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path, monkeypatch, CLASS + "    start: int\n" + STEP.removeprefix(CLASS) + "return state, state")
    assert stream_task("tried", start=1).to_dict() == {"name": "tried", "start": 1}
    with pytest.raises(UserError, match=r"it needs 'start'; give it with -S '\+tasks\.NAME\.options\.start=\.\.\.'"):
        stream_task("tried")


def place(directory: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A file tried.py among the tasks, for one test."""
    (directory / "tried.py").write_text(text)
    monkeypatch.setattr(streams, "__path__", [str(directory)])
    monkeypatch.delitem(sys.modules, "pipeline.tasks.streams.tried", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()


def test_evaluation_goes_beyond_the_training_length_on_both_kinds() -> None:
    sets = evaluation_sets(stream_task("addition"), (4, 10, 40, 200), 6, 0)
    assert list(sets) == [f"{kind}_{n}" for n in (4, 10, 40, 200) for kind in ("random", "hard")]
    assert all(s.inputs.shape == (6, int(name.split("_")[1]) + 1, 2) for name, s in sets.items())
    assert all((s.targets == stream_task("addition").answers(s.inputs)).all() for s in sets.values())
    assert known_streams() == ["addition", "parentheses", "parity", "remainder"]


def test_the_recurrent_net_by_hand_and_its_file(tmp_path: Path) -> None:
    """Parity: one unit reads s + a, another takes 2 (s + a - 1)."""
    net = Recurrent(RecurrentConfig(2, 1, 2, n_state=1, n_hidden=2))
    weights = {
        "embed_left.weight": [[0.0, -1.0], [1.0, 0.0]],
        "embed_right.weight": [[0.0, 0.0]],
        "state_in.weight": [[1.0], [1.0]],
        "state_out.weight": [[1.0, -2.0]],
        "state_out.bias": [0.0],
        "unembed.weight": [[0.0, 0.0], [1.0, -2.0]],
        "unembed.bias": [0.5, 0.0],
    }
    net.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    task = stream_task("parity")
    batch = task.random(10, 50, np.random.default_rng(0))
    logits = net(torch.from_numpy(batch))
    assert logits.shape == (10, 50, 2)
    assert (logits.argmax(dim=2).numpy() == task.answers(batch)).all()
    path = tmp_path / "cycle-0000.safetensors"
    save_snapshot(path, Snapshot(net, task, None, "standard", 0, 0, 0))
    again = load_snapshot(path, Recurrent)
    assert again.task == task
    assert torch.equal(again.net(torch.from_numpy(batch)), logits)
    net.state_out.bias.data.fill_(torch.nan)
    save_snapshot(path, Snapshot(net, task, None, "standard", 0, 0, 0))
    with pytest.raises(UserError, match="not finite"):
        load_snapshot(path, Recurrent)


def test_a_long_counterexample_is_printed_without_its_middle() -> None:
    task = stream_task("parity")
    line = task.equation([(1, 0)] * 501, [1] * 501)
    assert line.startswith("parity of 1 1 1 1 1 1 1 1 1 1 1 1 ... (477 more) ... 1")
    assert line.endswith("the net says 1 1 1 1 1 1 1 1 1 1 1 1 ... (477 more) ... 1 1 1 1 1 1 1 1 1 1 1 1")
    assert task.equation([(1, 0)], [0]) == "parity of 1 = 1, the net says 0"


def test_a_tied_net_has_one_table() -> None:
    tied = Recurrent(RecurrentConfig(10, 10, 10, 1, 7, tied=True))
    assert tied.n_parameters == 10 * 7 + 7 + 8 + 80
    with pytest.raises(ValueError, match="cannot share"):
        RecurrentConfig(2, 1, 2, tied=True)
