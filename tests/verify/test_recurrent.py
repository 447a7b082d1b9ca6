"""The proofs for all lengths: hand-built nets are proved, broken ones are not, and bounds hold where they say."""

import ast
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from benchmarks.by_hand import adder, parity, write_net
from pipeline.errors import UserError
from pipeline.tasks.machine import Machine
from pipeline.tasks.streaming import StreamTask, stream_task
from verify import checker
from verify.bounds import GRID_BITS, Box, Layer, rounding
from verify.claims import Proved, Refuted, Unknown
from verify.invariant import ask_solver, try_bounds
from verify.machine_proof import addition_obligations, carries, prove_machine
from verify.reach import FastNet, reach
from verify.recurrent_net import load_recurrent
from verify.regions import abstractions
from verify.solver import Budget, discharge, silent
from verify.stream_program import render
from verify.stream_prove import WHOLE, prove_stream

ONE = 1 << GRID_BITS
ADDITION = stream_task("addition", base=10)


def machine_of(task: StreamTask) -> Machine:
    machine = task.machine()
    assert machine is not None
    return machine


def machine_of_addition() -> Machine:
    return machine_of(ADDITION)


def budget() -> Budget:
    return Budget.of(60)


@pytest.mark.parametrize("base", [2, 3, 10, 16])
def test_a_hand_built_adder_is_proved_for_all_lengths_in_both_arithmetics(tmp_path: Path, base: int) -> None:
    task = stream_task("addition", base=base)
    net = load_recurrent(write_net(tmp_path / "net.safetensors", adder(base), task))
    proof = prove_stream(net, budget())
    assert proof.verdict == Proved(WHOLE)
    assert [type(result.verdict) for result in proof.results] == [Proved] * 3
    assert proof.machine == task.machine()
    measured = next(result.measured for result in proof.results if result.claim.kind == "invariant")
    assert measured["by_bounds"] == 2 * base * base
    stream = task.flushed(task.hard(1, 300, np.random.default_rng(0)))[0].tolist()
    assert net.exact.run(stream) == net.run_float(stream) == task.reference(stream)


def test_parity_is_proved_exactly_but_has_no_room_for_rounding(tmp_path: Path) -> None:
    """Its state is carried over without any contraction."""
    net = load_recurrent(write_net(tmp_path / "net.safetensors", parity(), stream_task("parity")))
    proof = prove_stream(net, budget())
    assert [type(result.verdict) for result in proof.results] == [Proved, Proved, Unknown]
    assert "rounding" in str(proof.verdict)
    net = load_recurrent(write_net(tmp_path / "steep.safetensors", parity(3), stream_task("parity")))
    assert prove_stream(net, budget()).verdict == Proved(WHOLE)


def test_an_adder_that_is_wrong_on_one_pair_in_one_carry_is_refuted_by_an_equation(tmp_path: Path) -> None:
    """A fourth unit fires on 7 + 5 and on nothing else."""
    tensors = adder()
    fires = np.zeros((2, 10))
    fires[0, 7] = fires[1, 5] = 1
    for name, row in (("embed_left.weight", fires[0] - 1.5), ("embed_right.weight", fires[1])):
        tensors[name] = np.concatenate([tensors[name], row[:, None]], axis=1)
    tensors["state_in.weight"] = np.concatenate([tensors["state_in.weight"], np.zeros((1, 1))])
    tensors["state_out.weight"] = np.concatenate([tensors["state_out.weight"], np.zeros((1, 1))], axis=1)
    extra = np.zeros((10, 1))
    extra[4] = 1000
    tensors["unembed.weight"] = np.concatenate([tensors["unembed.weight"], extra], axis=1)
    proof = prove_stream(load_recurrent(write_net(tmp_path / "net.safetensors", tensors)), budget())
    assert isinstance(proof.verdict, Refuted)
    assert str(proof.verdict.counterexample) == "7 + 5 = 12, the net says 14"
    assert proof.machine is not None
    kinds = {result.claim.kind: result.verdict for result in proof.results}
    assert isinstance(kinds["invariant"], Proved)  # it follows the machine that is wrong on 7 + 5
    assert isinstance(kinds["machine"], Refuted)


def test_nets_broken_by_one_weight_are_proved_only_if_they_are_right(tmp_path: Path) -> None:
    """Every weight in turn is moved; a verdict is checked against all pairs in both carries, evaluated one by one."""
    rng = np.random.default_rng(0)
    said = []
    for trial in range(28):
        tensors = {name: np.array(value, dtype=np.float64) for name, value in adder(3).items()}
        name = list(tensors)[trial % len(tensors)]
        flat = tensors[name].reshape(-1)
        flat[rng.integers(flat.size)] += rng.choice([-1, 1]) * rng.choice([0.125, 0.5, 1, 4])
        task = stream_task("addition", base=3)
        net = load_recurrent(write_net(tmp_path / "net.safetensors", tensors, task))
        proof = prove_stream(net, budget())
        streams = [[tuple(pair) for pair in s] for s in task.flushed(task.random(30, 12, rng)).tolist()]
        right = all(net.exact.run(stream) == task.reference(stream) for stream in streams)
        said.append(type(proof.verdict))
        if isinstance(proof.verdict, Proved):
            assert right
        if isinstance(proof.verdict, Refuted):
            stream = proof.verdict.counterexample.stream  # type: ignore[union-attr]
            assert net.exact.run(stream) != task.reference(stream) != net.run_float(stream)
    assert {Proved, Refuted} <= set(said)
    assert said.count(Refuted) >= 10


def test_a_constant_zero_initial_region_that_misses_the_start_is_open(tmp_path: Path) -> None:
    net = load_recurrent(write_net(tmp_path / "net.safetensors", adder()))
    inside = (Box((0,), (ONE // 100,)), Box((ONE - ONE // 100,), (ONE,)))
    assert try_bounds(net.exact, machine_of_addition(), inside).holds
    beside = (Box((1,), (ONE // 100,)), inside[1])
    assert not try_bounds(net.exact, machine_of_addition(), beside).holds
    swapped = try_bounds(net.exact, machine_of_addition(), inside[::-1])
    assert not swapped.holds
    wide = try_bounds(net.exact, machine_of_addition(), (Box((0,), (ONE // 3,)), inside[1]))
    assert wide.open is not None
    solved = ask_solver(net.exact, wide, budget(), silent)
    assert not solved.holds
    assert solved.open is not None
    assert "violates" in solved.open.reason


def cancelling(tmp_path: Path) -> Path:
    """An adder with two more units that cancel each other, which bounds over a whole region cannot see."""
    tensors = adder(2)
    for name in ("embed_left.weight", "embed_right.weight"):
        extra = np.full((2, 2), -0.5 if name == "embed_left.weight" else 0.0)
        tensors[name] = np.concatenate([tensors[name], extra], axis=1)
    tensors["state_in.weight"] = np.concatenate([tensors["state_in.weight"], np.full((2, 1), 8.0)])
    tensors["state_out.weight"] = np.concatenate([tensors["state_out.weight"], [[8.0, -8.0]]], axis=1)
    tensors["unembed.weight"] = np.concatenate([tensors["unembed.weight"], [[8.0, -8.0], [0, 0]]], axis=1)
    return write_net(tmp_path / "net.safetensors", tensors, stream_task("addition", base=2))


def test_what_bounds_leave_open_is_closed_by_z3_with_a_tree(tmp_path: Path) -> None:
    net = load_recurrent(cancelling(tmp_path))
    machine = stream_task("addition", base=2).machine()
    assert machine is not None
    regions = (Box((0,), (ONE // 8,)), Box((ONE - ONE // 8,), (ONE,)))
    tried = try_bounds(net.exact, machine, regions)
    assert not tried.holds
    solved = ask_solver(net.exact, tried, budget(), silent)
    assert solved.holds
    trees = [one.tree for one in solved.closed if one.how == "z3"]
    assert trees
    assert all(len(tree) > 2 for tree in trees)
    assert len(solved.asked) == len(trees)
    proof = prove_stream(net, budget())
    assert isinstance(proof.verdict, Proved)


def test_bounds_hold_at_every_state_of_a_box_and_rounding_covers_float32(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        tensors = {name: rng.normal(size=np.shape(value)) for name, value in adder(3).items()}
        task = stream_task("addition", base=3)
        net = load_recurrent(write_net(tmp_path / "net.safetensors", tensors, task))
        low = rng.integers(0, ONE // 2)
        box = Box((int(low),), (int(low + rng.integers(1, ONE // 2)),))
        a, b = (int(v) for v in rng.integers(0, 3, 2))
        layer = Layer.of(net.exact, box, a, b)
        k = net.bits
        logit_error, _ = (Fraction(v, 1 << (2 * k + GRID_BITS)) for v in rounding(net.exact, box, a, b))
        for s in np.linspace(box.low[0] / ONE, box.high[0] / ONE, 9):
            s = Fraction(float(np.float32(s)))
            w = {
                name: [[Fraction(float(v)) for v in row] for row in np.atleast_2d(t)] for name, t in net.weights.items()
            }
            pre = [
                w["embed_left.weight"][a][i] + w["embed_right.weight"][b][i] + w["state_in.weight"][i][0] * s
                for i in range(3)
            ]
            hidden = [max(Fraction(0), p) for p in pre]
            for c in range(3):
                exact = (
                    sum(x * y for x, y in zip(w["unembed.weight"][c], hidden, strict=True)) + w["unembed.bias"][0][c]
                )
                least = layer.least(net.exact, net.exact.unembed[c], net.exact.unembed_bias[c])
                assert Fraction(least, 1 << (2 * k + GRID_BITS)) <= exact
                read = (net.weights["embed_left.weight"][a] + net.weights["embed_right.weight"][b]).astype(np.float32)
                single = np.maximum(read + net.weights["state_in.weight"][:, 0] * np.float32(float(s)), np.float32(0))
                rounded = net.weights["unembed.weight"][c] @ single + net.weights["unembed.bias"][c]
                assert abs(Fraction(float(rounded)) - exact) <= logit_error


def test_a_net_that_could_overflow_float32_is_not_claimed_in_float32(tmp_path: Path) -> None:
    tensors = adder(2)
    tensors["unembed.weight"] = tensors["unembed.weight"] * 2.0**50
    tensors["unembed.bias"] = tensors["unembed.bias"] * 2.0**50
    net = load_recurrent(write_net(tmp_path / "net.safetensors", tensors, stream_task("addition", base=2)))
    proof = prove_stream(net, budget())
    assert [type(result.verdict) for result in proof.results] == [Proved, Proved, Unknown]
    assert isinstance(proof.verdict, Unknown)


def test_the_prover_allows_for_as_much_rounding_as_the_checker(tmp_path: Path) -> None:
    """Two derivations of one bound, down to weights that underflow."""
    rng = np.random.default_rng(1)
    task = stream_task("addition", base=3)
    for scale in (1.0, 2.0**-20, 2.0**-80, 2.0**-149):
        tensors = {name: scale * rng.integers(-9, 10, np.shape(value)) for name, value in adder(3).items()}
        path = write_net(tmp_path / "net.safetensors", tensors, task)
        net, sizes = load_recurrent(path), {"n_left": 3, "n_right": 3, "n_answers": 3}
        other, box = checker.Recurrent(checker.Weights(path.read_bytes()), sizes), Box((0,), (ONE,))
        for a, b in ((0, 0), (2, 1)):
            ours, theirs = rounding(net.exact, box, a, b), other.rounding(a, b, [(0, ONE)])
            assert theirs is not None
            spare = 8 + 6 * net.exact.largest  # one unit more for each hidden unit
            assert all(0 <= x - y <= spare for x, y in zip(ours, theirs, strict=True))


def test_parentheses_are_never_proved(tmp_path: Path) -> None:
    """A counter that saturates: depth in eighths, right up to depth 8 and wrong beyond."""
    task = stream_task("parentheses")
    tensors = {
        "embed_left.weight": np.array([[0.125, 0.125], [-0.125, -0.125]]),
        "embed_right.weight": np.zeros((1, 2)),
        "state_in.weight": np.ones((2, 1)),
        "state_out.weight": np.array([[1.0, 0.0]]),
        "state_out.bias": np.zeros(1),
        "unembed.weight": np.array([[16.0, 0.0], [0.0, 0.0]]),
        "unembed.bias": np.array([-1.0, 0.0]),
    }
    proof = prove_stream(load_recurrent(write_net(tmp_path / "net.safetensors", tensors, task)), budget())
    assert isinstance(proof.verdict, Refuted)
    assert isinstance(proof.results[0].verdict, Unknown)
    assert "unbounded memory" in str(proof.results[0].verdict)


def test_the_theorem_about_sums_needs_every_answer_and_carry() -> None:
    machine = machine_of_addition()
    right = prove_machine(machine, ADDITION, budget(), silent)
    assert isinstance(right.verdict, Proved)
    assert [o.obligation.name for o in right.outcomes] == ["sum-start", "sum-step-0", "sum-step-1", "sum-end"]
    held = carries(machine, machine, ADDITION)
    assert held == (0, 1)
    for wrong in ((1, 0), (0, 0), (1, 1)):
        results = {o.result for o in discharge(addition_obligations(machine, wrong, 10), budget(), silent)}
        assert "sat" in results
    rows = [list(row) for row in machine.answers[1]]
    rows[9][9] = 8
    broken = Machine(machine.following, (machine.answers[0], tuple(map(tuple, rows))))
    refuted = prove_machine(broken, ADDITION, budget(), silent).verdict
    assert isinstance(refuted, Refuted)
    assert "the machine says" in str(refuted)
    assert {o.result for o in discharge(addition_obligations(broken, held, 10), budget(), silent)} >= {"sat"}


def test_a_net_without_a_finite_memory_yields_no_machine(tmp_path: Path) -> None:
    """Its state is a running mean of the digits: nearby states part ways."""
    tensors = adder(3)
    tensors["state_out.weight"] = np.array([[0.23, 0.0, 0.0]])
    net = load_recurrent(write_net(tmp_path / "net.safetensors", tensors, stream_task("addition", base=3)))
    fast = FastNet.of(net)
    assert list(abstractions(fast, reach(fast, net.task).states)) == []
    assert isinstance(prove_stream(net, budget()).verdict, Refuted)


def program(directory: Path, task: StreamTask) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The program of a task's machine, to be run with arguments."""
    path = directory / "program.py"
    path.write_text(render(machine_of(task), task))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-I", str(path), *arguments], capture_output=True, text=True)

    return run


@dataclass(frozen=True)
class Difference(StreamTask):
    """a - b place by place, least significant first, the state the borrow."""

    base: int = 10
    n_left: ClassVar[int] = 10  # type: ignore[misc]
    n_right: ClassVar[int] = 10  # type: ignore[misc]
    n_answers: ClassVar[int] = 10  # type: ignore[misc]

    def step(self, state: int, a: int, b: int) -> tuple[int, int]:
        left = a - b - state
        return int(left < 0), left % 10


def test_the_program_runs_on_its_own(tmp_path: Path) -> None:
    run = program(tmp_path, ADDITION)
    a, b = "9" * 200, "7" * 150
    assert run(a, b).stdout == f"{int(a) + int(b)}\n"
    assert run("0", "0").stdout == "0\n"
    assert run("--help").stdout == "usage: python program.py A B (numerals with the digits 0123456789)\n"
    assert run("--help").returncode == 0
    for wrong in ((), ("1",), ("1", "2", "3"), ("12", "x"), ("12", "")):
        done = run(*wrong)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (64, "", 1)
    assert run("12", "x").stderr == "a, b = '12', 'x': give numerals with the digits 0123456789\n"


def test_the_program_of_another_task_runs_on_its_own(tmp_path: Path) -> None:
    run = program(tmp_path, stream_task("parity"))
    assert run("1", "0", "1", "1").stdout == "1 1 0 1\n"
    assert run("--help").stdout == "usage: python program.py a a ... (for every step a number from 0 to 1)\n"
    assert run("--help").returncode == 0
    for wrong in ((), ("2",), ("-1",), ("1,0",), ("x",), ("",), ("1", "9" * 9999), ("\n",)):
        done = run(*wrong)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (64, "", 1)
    assert run("1", "2").stderr == "symbol = '2': give a number from 0 to 1\n"
    assert run().stderr == run("--help").stdout


def test_the_program_of_a_task_with_two_columns_reads_pairs(tmp_path: Path) -> None:
    run = program(tmp_path, Difference())
    assert run("3,4", "0,0", "9,2").stdout == "9 9 6\n"
    assert "python program.py a,b a,b ... (for every step a,b with a from 0 to 9 and b from 0 to 9)" in run().stderr
    for wrong in ("3", "3,4,5", "3,", "10,0", "0;1"):
        assert (run(wrong).returncode, run(wrong).stdout) == (64, "")
    assert run("0,12").stderr == "symbol = '0,12': give a,b with a from 0 to 9 and b from 0 to 9\n"


def test_the_program_says_its_task_with_its_options() -> None:
    text = render(machine_of(Difference()), Difference())
    assert text.startswith('"""The task test_recurrent (base = 10), step by step.\n')
    assert text == render(machine_of(Difference()), Difference())
    quoted = Difference(base='""" + 1')  # type: ignore[arg-type]
    tree = ast.parse(render(machine_of(Difference()), quoted))
    assert ast.get_docstring(tree, clean=False).startswith('The task test_recurrent (base = """ + 1), step by step.')  # type: ignore[union-attr]


@pytest.mark.parametrize("task", [ADDITION, stream_task("parity"), stream_task("remainder", base=10, modulus=7)])
def test_the_checker_reads_the_program(task: StreamTask) -> None:
    machine = machine_of(task)
    tables, adds = (machine.to_dict()["following"], machine.to_dict()["answers"]), task.name == "addition"
    checker.check_stream_program(render(machine, task).encode(), tables, task.n_left, task.n_right, adds)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"net": '{"kind": "transformer"}'}, "a recurrent net with a clipped state is needed"),
        ({"task": '{"name": "addition", "base": 1}'}, "base = 1"),
        ({"task": '{"name": "parity"}'}, "its symbols are not those of"),
        ({"format": "other"}, "a snapshot has format"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_line(tmp_path: Path, change: dict[str, str], says: str) -> None:
    path = write_net(tmp_path / "net.safetensors", adder(), header=change)
    with pytest.raises(UserError, match=says) as raised:
        load_recurrent(path)
    assert "\n" not in str(raised.value)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    tensors = adder()
    tensors["unembed.bias"] = np.full(10, np.nan)
    with pytest.raises(UserError, match=r"unembed\.bias = not finite"):
        load_recurrent(write_net(tmp_path / "net.safetensors", tensors))
