"""Training on streams, with lessons: what is taught is shown, counted and listed; a resumed run has the same bytes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.batch import Batch
from pipeline.errors import UserError
from pipeline.experiment import Experiment, Phase, RecurrentParams, StreamParams, TrainParams
from pipeline.nets import Recurrent
from pipeline.recipe_params import AdamWParams, InitParams, RecipeParams, ScheduleParams, TeachParams
from pipeline.runs import load_snapshot
from pipeline.tasks.streaming import Stream, StreamTask, stream_examples, stream_task
from tests.train.small_runs import contents, small_experiment, with_parts, with_train
from train.callbacks import exact_match
from train.losses import evaluate
from train.noise import STATE, ActivationNoise
from train.run import first_net, train_run
from train.teaching import PATIENCE, Teacher

INIT = InitParams(embed_std=0.5)
OPTIMIZER = AdamWParams(kind="adamw", lr=0.03, weight_decay=0.0)
TAUGHT: Stream = ((1, 0), (1, 0), (0, 0), (1, 0), (1, 0), (1, 0))
HOPELESS = 5.0
"""So much noise on the state that nothing is learnt."""


def experiment(
    steps: int = 40, teach: bool = True, noise: float | None = 0.1, learnt: float = 0.0, hidden: int = 12, seed: int = 0
) -> Experiment:
    """Parity, with cycles of ten steps."""
    parts = RecipeParams(
        init=INIT,
        optimizer=OPTIMIZER,
        schedule=ScheduleParams(kind="cyclic"),
        state_noise=noise,
        teach=TeachParams(counterexamples=8, learnt=learnt) if teach else None,
    )
    return Experiment(
        name="parity-catapult",
        task=StreamParams(name="parity", examples=20, lengths=(4, 40), evaluated=10),
        net=RecurrentParams(kind="recurrent", n_state=2, n_hidden=hidden),
        recipe="catapult",
        phases=(Phase(recipe="catapult", last_cycle=steps // 10, parts=parts),),
        train=TrainParams(steps=steps, cycle_steps=10, evaluate_every=10, device="cpu", seed=seed),
    )


def teacher(weights: dict[str, NDArray[np.float32]], task: StreamTask, most: int) -> list[Stream]:
    assert task == stream_task("parity")
    assert most == 8
    assert weights["unembed.bias"].shape == (2,)
    return [TAUGHT]


def nothing(weights: dict[str, NDArray[np.float32]], task: StreamTask, most: int) -> list[Stream]:
    return []


@pytest.fixture
def taught_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Teacher], None]:
    """Put another teacher in the place of the search of the proofs."""
    return lambda given: monkeypatch.setattr("train.teaching.proof_search", lambda: given)


@pytest.fixture(autouse=True)
def _not_the_prover(taught_by: Callable[[Teacher], None]) -> None:
    taught_by(teacher)


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def column(path: Path, name: str) -> list[float]:
    return [float(row[name]) for row in table(path)]


def interrupted(given: Experiment, out: Path, state: Path, after: int) -> Path:
    """The run directory of a run that is stopped after a cycle, and given again."""

    class Interrupted(Exception):
        pass

    def stop(cycle: int) -> None:
        if cycle == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        train_run(given, out, state, stop)
    assert not out.exists()
    seen: list[int] = []
    train_run(given, out, state, seen.append)
    assert seen == list(range(after + 1, given.train.steps // 10 + 1))
    return out


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, after: int, batch_size: int | None) -> None:
    given = with_train(experiment(), batch_size=batch_size)
    whole = train_run(given, tmp_path / "whole", tmp_path / "a")
    resumed = interrupted(given, tmp_path / "resumed", tmp_path / "b", after)
    assert contents(whole) == contents(resumed)
    assert {f"snapshots/cycle-000{i}.safetensors" for i in range(5)} < contents(whole).keys()
    taught = json.loads((whole / "taught.json").read_text())
    assert taught == {"count": 3, "streams": [[list(pair) for pair in TAUGHT]] * 3}
    assert column(whole / "lessons.csv", "taught") == [0, 0, 1, 2, 3]
    last = load_snapshot(whole / "snapshots" / "cycle-0004.safetensors", Recurrent)
    assert (last.cycle, last.step, last.task, last.train_fraction) == (4, 40, stream_task("parity"), None)
    assert last.experiment == given.digest


@pytest.mark.parametrize("noise", [None, 0.1])
def test_a_lesson_is_shown_from_the_next_step_on(
    tmp_path: Path, noise: float | None, taught_by: Callable[[Teacher], None]
) -> None:
    given = experiment(noise=noise)
    runs = []
    for name, its_teacher in (("taught", teacher), ("untaught", nothing)):
        taught_by(its_teacher)
        runs.append(train_run(given, tmp_path / name, tmp_path / "state"))
    taught, untaught = (table(run / "history.csv") for run in runs)
    assert taught[:10] == untaught[:10]
    assert all(row["train_loss"] != other["train_loss"] for row, other in zip(taught[10:], untaught[10:], strict=True))
    snapshots = [[(run / "snapshots" / f"cycle-000{i}.safetensors").read_bytes() for i in range(5)] for run in runs]
    assert [one == other for one, other in zip(*snapshots, strict=True)] == [True, True, False, False, False]
    assert '"count": 0' in (runs[1] / "taught.json").read_text()


def test_what_was_taught_counts_in_the_loss_and_the_accuracy(tmp_path: Path) -> None:
    """In the step after a lesson, by the net of the snapshot: 20 streams of 4, then 6 digits more each cycle."""
    run = train_run(experiment(noise=None), tmp_path / "run", tmp_path / "state")
    task, history = stream_task("parity"), table(run / "history.csv")
    examples = task.training_set(20, 4, 0).tolist()
    for cycle in (0, 1, 2, 3):
        net = load_snapshot(run / "snapshots" / f"cycle-000{cycle}.safetensors", Recurrent).net
        streams = examples + [list(TAUGHT)] * cycle
        wrong, digits, nats = 0, 0, 0.0
        with torch.no_grad():
            for stream in streams:
                logits = net(torch.tensor([stream]))[0].double()
                answers = torch.tensor(task.reference(stream))
                wrong += int((logits.argmax(1) != answers).sum())
                digits += len(answers)
                nats += torch.nn.functional.cross_entropy(logits, answers, reduction="sum").item()
        assert digits == 80 + 6 * cycle
        row = history[10 * cycle]
        assert float(row["train_accuracy"]) == pytest.approx(1 - wrong / digits, rel=1e-5)
        assert float(row["train_loss"]) == pytest.approx(nats / digits, rel=1e-5)


def test_the_teacher_sees_the_weights_at_the_end_of_each_cycle_but_the_last(
    tmp_path: Path, taught_by: Callable[[Teacher], None]
) -> None:
    seen: list[dict[str, NDArray[np.float32]]] = []

    def watch(weights: dict[str, NDArray[np.float32]], task: StreamTask, most: int) -> list[Stream]:
        seen.append(weights)
        return [TAUGHT]

    taught_by(watch)
    run = train_run(experiment(), tmp_path / "run", tmp_path / "state")
    assert len(seen) == 3
    for cycle, weights in enumerate(seen, 1):
        net = load_snapshot(run / "snapshots" / f"cycle-000{cycle}.safetensors", Recurrent).net
        assert weights.keys() == net.state_dict().keys()
        assert all(np.array_equal(weights[name], value.numpy()) for name, value in net.state_dict().items())


def test_a_recipe_that_does_not_teach_is_taught_nothing(tmp_path: Path, taught_by: Callable[[Teacher], None]) -> None:
    def refuse(weights: dict[str, NDArray[np.float32]], task: StreamTask, most: int) -> list[Stream]:
        raise AssertionError("asked for a lesson")

    taught_by(refuse)
    run = train_run(experiment(teach=False, noise=None), tmp_path / "run", tmp_path / "state")
    assert {path.name for path in run.iterdir()} == {"params.json", "history.csv", "accuracy.csv", "snapshots"}
    assert "state_noise" not in (run / "history.csv").read_text()
    with pytest.raises(AssertionError, match="asked for a lesson"):
        train_run(experiment(), tmp_path / "other", tmp_path / "state")


def test_lessons_on_pairs_are_refused_in_one_line(tmp_path: Path) -> None:
    given = with_parts(small_experiment(tmp_path, "standard"), teach={"counterexamples": 4})
    with pytest.raises(UserError, match="recipe = standard: teaches streams, and modular has none") as caught:
        train_run(given, tmp_path / "out", tmp_path / "state")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_parity_is_learnt_for_lengths_it_never_saw(tmp_path: Path) -> None:
    """A hidden defect in the padding or the answers would show here, in every seed; one of three may learn too late."""
    right = 0
    for seed in range(3):
        given = experiment(steps=300, teach=False, hidden=24, seed=seed)
        run = train_run(given, tmp_path / str(seed), tmp_path / "state")
        rows = table(run / "accuracy.csv")
        assert list(rows[0]) == ["cycle", "random_4", "hard_4", "random_40", "hard_40"]
        assert [int(row["cycle"]) for row in rows] == list(range(31))
        last = {name: float(value) for name, value in rows[-1].items()}
        right += last["random_4"] == last["random_40"] == last["hard_40"] == 1
        assert float(rows[0]["random_40"]) < 0.5
    assert right >= 2


def test_the_table_of_accuracies_is_that_of_the_snapshots(tmp_path: Path) -> None:
    """By another count: a stream is right where its answers, taken one stream at a time, are those of the reference."""
    given = experiment(steps=30)
    run = train_run(given, tmp_path / "run", tmp_path / "state")
    task = stream_task("parity")
    rows = table(run / "accuracy.csv")
    evaluated = table(run / "history.csv")[9::10]
    assert [row["test_accuracy"] for row in evaluated] == [row["random_4"] for row in rows[1:]]
    for cycle, row in enumerate(rows):
        net = load_snapshot(run / "snapshots" / f"cycle-000{cycle}.safetensors", Recurrent).net
        for name, examples in given.task.split(0).tried.items():
            got = [net(torch.tensor([stream])).argmax(2)[0].tolist() for stream in examples.inputs.tolist()]
            expected = [task.reference(stream) for stream in examples.inputs.tolist()]
            share = sum(one == other for one, other in zip(got, expected, strict=True)) / len(expected)
            assert float(row[name]) == pytest.approx(share)


def test_streams_of_two_lengths_share_a_batch() -> None:
    examples = stream_examples(stream_task("parity"), [[[1, 0]], [[1, 0], [1, 0], [1, 0]]])
    batch = Batch.of(examples)
    assert batch.inputs[1].tolist() == [[1, 0], [1, 0], [1, 0]]
    assert batch.inputs[0, 0].tolist() == [1, 0]
    assert batch.mask is not None
    assert batch.mask.tolist() == [[True, False, False], [True, True, True]]
    assert batch.answers.tolist() == [1, 1, 0, 1]
    net = first_net(experiment())
    alone = [net.residual(batch.inputs[i : i + 1, :length])[0] for i, length in enumerate((1, 3))]
    torch.testing.assert_close(batch.at_targets(net.residual(batch.inputs)), torch.cat(alone))
    same = stream_examples(stream_task("parity"), [[[1, 0]], [[0, 0]]])
    assert same.mask is None


def test_state_noise_stays_within_the_clip_and_ends_with_the_block(tmp_path: Path) -> None:
    train_run(experiment(steps=10, teach=False), tmp_path / "run", tmp_path / "state")
    net = load_snapshot(tmp_path / "run" / "snapshots" / "cycle-0001.safetensors", Recurrent).net
    pairs = torch.from_numpy(stream_task("parity").random(5, 20, np.random.default_rng(0)))
    plain, seen = net(pairs), []
    noise = ActivationNoise(net, experiment(noise=0.5).parts)
    normal, _ = noise.draws(pairs[..., 0].numel(), [torch.Generator().manual_seed(0)], torch.device("cpu"))
    assert normal[STATE].shape == (1, 20 * 5, 2)
    with noise.on(net, ({STATE: normal[STATE][0]}, {})):
        noisy = net(pairs)
    net.hook_state.add_hook(lambda tensor, hook: seen.append(tensor))
    assert torch.equal(net(pairs), plain)
    assert not torch.equal(noisy, plain)
    assert len(seen) == 20
    assert all(0 <= s.min() <= s.max() <= 1 for s in seen)
    assert exact_match(net, {}) == {}


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load_snapshot(path, Recurrent).net.state_dict()


def test_a_net_that_does_not_learn_is_drawn_anew_and_taught_nothing(tmp_path: Path) -> None:
    hopeless = experiment(steps=80, learnt=1.0, noise=HOPELESS)
    run = train_run(hopeless, tmp_path / "run", tmp_path / "state")
    assert column(run / "lessons.csv", "draws") == [1, 1, 1, 1, 2, 2, 2, 3, 3]
    assert column(run / "lessons.csv", "taught") == [0] * 9
    assert '"count": 0' in (run / "taught.json").read_text()
    draws = [first_net(hopeless, draw) for draw in range(3)]
    tables = [draw.get_parameter("embed_left.weight") for draw in draws]
    assert not any(torch.equal(tables[i], tables[j]) for i in range(3) for j in range(i))
    for draw in draws:
        assert draw.get_parameter("state_out.bias").tolist() == [0.5, 0.5]


def test_a_new_draw_begins_where_a_run_would_begin_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taught_by: Callable[[Teacher], None]
) -> None:
    """Its steps are those of a run whose first net is the second draw: of the old trainer nothing is left.

    The schedule is that of a cycle, and a cycle's end is where a net is drawn anew.
    """
    hopeless = experiment(steps=80, learnt=1.0, noise=HOPELESS)
    run = train_run(hopeless, tmp_path / "run", tmp_path / "state")
    monkeypatch.setattr("train.run.first_net", lambda given: first_net(given, 1))
    other = train_run(experiment(steps=80, teach=False, noise=HOPELESS), tmp_path / "other", tmp_path / "state")
    redrawn, begun = (table(each / "history.csv") for each in (run, other))
    measures = ("lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy")
    first = 10 * PATIENCE
    for row, begun_row in zip(redrawn[first : first + 30], begun[:30], strict=True):
        assert [row[name] for name in measures] == [begun_row[name] for name in measures]


@pytest.mark.parametrize("after", [PATIENCE - 1, PATIENCE, PATIENCE + 1])
def test_a_run_that_is_interrupted_around_a_new_draw_ends_in_the_same_bytes(tmp_path: Path, after: int) -> None:
    hopeless = with_train(experiment(steps=50, learnt=1.0, noise=HOPELESS), batch_size=6)
    whole = train_run(hopeless, tmp_path / "whole", tmp_path / "a")
    assert contents(whole) == contents(interrupted(hopeless, tmp_path / "again", tmp_path / "b", after))


def test_a_net_that_learns_in_its_third_cycle_is_taught_from_then_on(tmp_path: Path) -> None:
    """No lesson before; afterwards one in each cycle that ends with so much learnt, of lessons and all."""
    plain = train_run(experiment(teach=False, hidden=24, noise=None), tmp_path / "plain", tmp_path / "state")
    first, second, third, _ = column(plain / "history.csv", "train_accuracy")[9::10]
    assert max(first, second) < third
    enough = (max(first, second) + third) / 2
    given = experiment(steps=100, learnt=enough, hidden=24, noise=None)
    run = train_run(given, tmp_path / "run", tmp_path / "state")
    learnt = [share >= enough for share in column(run / "history.csv", "train_accuracy")[9::10]]
    assert learnt[:3] == [False, False, True]
    assert column(run / "lessons.csv", "taught") == [0, *(sum(learnt[:i]) for i in range(10))]
    assert column(run / "lessons.csv", "draws")[:5] == [1] * 5


def two_phases(first_teaches: bool) -> Experiment:
    """Two cycles of which lessons are part, and three of which they are not, or the other way round."""
    given = experiment(steps=50, noise=None)
    teaches, plain = given.parts, given.parts.model_copy(update={"teach": None, "state_noise": 0.1})
    first, second = (teaches, plain) if first_teaches else (plain, teaches)
    phases = (Phase(recipe="a", last_cycle=2, parts=first), Phase(recipe="b", last_cycle=5, parts=second))
    return given.model_copy(update={"phases": phases})


@pytest.mark.parametrize(("first_teaches", "taught"), [(True, [0, 0, 1, 2, 2, 2]), (False, [0, 0, 0, 0, 1, 2])])
def test_of_two_phases_one_may_teach_and_what_was_taught_stays(
    tmp_path: Path, first_teaches: bool, taught: list[int]
) -> None:
    given = two_phases(first_teaches)
    run = train_run(given, tmp_path / "run", tmp_path / "a")
    assert column(run / "lessons.csv", "taught") == taught
    assert json.loads((run / "taught.json").read_text())["count"] == taught[-1]
    history, first_of_last = table(run / "history.csv"), 40
    digits = 80 + 6 * taught[-1]
    right = float(history[first_of_last]["train_accuracy"]) * digits
    assert right == pytest.approx(round(right), abs=1e-3)
    net = load_snapshot(run / "snapshots" / "cycle-0004.safetensors", Recurrent).net
    task = stream_task("parity")
    streams = [*task.training_set(20, 4, 0).tolist(), *([list(pair) for pair in TAUGHT] for _ in range(taught[-1]))]
    if not first_teaches:  # else there is noise on the state in this step
        nats, _ = evaluate(net, Batch.of(stream_examples(task, streams)))
        assert float(history[first_of_last]["train_loss"]) == pytest.approx(nats, rel=1e-5)
    for after in (1, 2, 3):
        again = interrupted(given, tmp_path / f"again-{after}", tmp_path / "b", after)
        assert contents(again) == contents(run)
