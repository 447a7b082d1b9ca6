"""Programs: what is read off, what the file prints, and what is not accepted as one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.by_hand import hand_built, write_student
from pipeline.errors import UserError
from verify import Program, Refuted, extract, load_exact_net, load_program, prove_program
from verify.claims import Counterexample
from verify.programs import cosine_table
from verify.solver import Budget


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(path), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def program() -> Program:
    return Program(113, 1, (3, 17, 44), (100, 90, 95), cosine_table(113))


def test_the_file_runs_on_its_own(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(program.render())
    assert run(path, "37", "99").stdout == "23\n"
    path.write_text(replace(program, sign=-1).render())
    assert run(path, "37", "99").stdout == "51\n"
    for wrong in ((), ("1",), ("1", "2", "3"), ("a", "1"), ("-1", "1"), ("113", "0"), ("1", "9" * 9999)):
        done = run(path, *wrong)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_object_and_file_give_the_same_answers(program: Program) -> None:
    wrong = replace(program, p=7, frequencies=(2, 3), amplitudes=(-3, 5), cosine=(9, 1, 0, 0, 7, 2, 7))
    for some in (replace(wrong, sign=-1), wrong):
        scope: dict[str, object] = {"__name__": "program"}
        exec(compile(some.render(), "program", "exec"), scope)
        answer = scope["answer"]
        assert callable(answer)
        assert all(answer(a, b) == some.answer(a, b) for a in range(7) for b in range(7))


def test_frequencies_and_amplitudes_are_measured(tmp_path: Path) -> None:
    tensors = hand_built(13, -1, (2, 5))
    tensors["readout"][:2] //= 2
    tensors["left"] = tensors["left"].copy()
    path = write_student(tmp_path / "s", tensors, 13, -1, frequencies="[1, 6]")  # the header is not believed
    found = extract(load_exact_net(path))
    assert (found.frequencies, found.sign) == (2, 5) or found.frequencies == (2, 5)
    assert found.amplitudes[1] == 100
    assert 47 <= found.amplitudes[0] <= 53


def test_a_mutated_program_is_refuted(program: Program) -> None:
    for mutant in (
        replace(program, cosine=(*program.cosine[:7], 10**6, *program.cosine[8:])),
        replace(program, amplitudes=(-100, 90, 95)),
        replace(program, amplitudes=(0, 0, 0)),
    ):
        result = prove_program(mutant, Budget.of(10))
        assert isinstance(result.verdict, Refuted)
        example = result.verdict.counterexample
        assert isinstance(example, Counterexample)
        assert mutant.answer(example.a, example.b) == example.got != (example.a + example.b) % 113


def test_only_an_unchanged_rendering_is_a_program(program: Program, tmp_path: Path) -> None:
    path, source = tmp_path / "p.py", program.render()
    path.write_text(source)
    assert load_program(path) == program
    trap = tmp_path / "trap"
    for changed in (
        source.replace("sys.exit(main", f"open({str(trap)!r}, 'w'); sys.exit(main"),
        source.replace("% P\n", "% (P - 1)\n"),
        source + "\n",
        source.replace("P = 113", "P = 112"),
        source.replace("SIGN = 1", "SIGN = True"),
        source.replace("FREQUENCIES = (3", "FREQUENCIES = (__import__('os').getpid()"),
        source.replace("FREQUENCIES = (3", "FREQUENCIES = (3.0"),
        "(" * 500,
        "P = 1",
        "\0",
    ):
        path.write_text(changed)
        with pytest.raises(UserError):
            load_program(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError):
        load_program(path)
    assert not trap.exists()
