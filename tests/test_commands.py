"""Every command of every room: bad usage, and a Python without what it needs, are one line and one exit status."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import BAD_INPUT, CLOSED, UserError, reported

ROOT = Path(__file__).parents[1]
ROOMS = ("train", "interp", "compress", "verify", "stages", "benchmarks")


def modules() -> list[str]:
    """What `python -m` can run: each file with an ending of its own."""
    found = []
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            tests = [node.test for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
            if "__name__ == '__main__'" in map(ast.unparse, tests):
                found.append(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"))
    return found


COMMANDS = modules()
SUBCOMMANDS = [
    "train range",
    "train continue",
    *(f"interp {name}" for name in ("analyse", "attribute", "bridge", "export", "import", "measures")),
    *(f"verify {name}" for name in ("chain", "extract", "prove", "snapshots", "stream")),
]
NOT_OURS = ("verify.checker", "verify.second_solver", "verify.z3_worker")
"""Run as files or by the prover, on what it wrote."""


def test_the_walk_finds_the_commands() -> None:
    assert {"train", "interp", "compress", "verify", "stages.params", "benchmarks.story"} <= set(COMMANDS)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in NOT_OURS] + SUBCOMMANDS)
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # another test may have imported it
def test_a_wrong_option_is_one_line_and_one_status(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # one of them sets it where it is not set
    module, *arguments = command.split()
    monkeypatch.setattr(sys, "argv", [module, *arguments, "--wrong"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    said = capsys.readouterr()
    assert ended.value.code == BAD_INPUT, said
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert "Traceback" not in said.err


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in NOT_OURS])
def test_without_the_environment_it_is_one_line_with_the_mend(command: str) -> None:
    """-S is a Python that sees the standard library alone."""
    arguments = ["measures", "x.safetensors"] if command == "interp" else []  # it starts without it
    given = [sys.executable, "-S", "-m", command, *arguments]
    done = subprocess.run(given, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == BAD_INPUT, done.stderr
    assert done.stderr.startswith(f"python -m {command}: the module ")
    assert "is missing: run `make .venv/ready`, and `. .venv/bin/activate`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_checker_needs_no_environment() -> None:
    done = subprocess.run([sys.executable, "-S", "-m", "verify.checker"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == BAD_INPUT
    assert done.stderr == "checker.py: error: the following arguments are required: certificate\n"


def test_a_module_of_ours_that_is_missing_is_a_defect_and_shown_as_one(tmp_path: Path) -> None:
    room = tmp_path / "train"
    room.mkdir()
    (room / "__init__.py").write_text("import pipeline\nimport pipeline.absent\n")
    (room / "__main__.py").write_text("")
    (tmp_path / "pipeline").symlink_to(ROOT / "pipeline")
    done = subprocess.run([sys.executable, "-m", "train"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("p = 4:\n not a prime"), BAD_INPUT, "name: p = 4: not a prime\n"),
        (UserError("key = \x1b[31m\udcff"), BAD_INPUT, "name: key = \\x1b[31m\\udcff\n"),
        (FileNotFoundError(2, "No such file or directory", "x.json"), BAD_INPUT,
         "name: x.json: No such file or directory; name another file\n"),
        (KeyboardInterrupt(), 130, "name: interrupted\n"),
    ],
)  # fmt: skip
def test_what_a_user_can_cause_is_one_line(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def body() -> int:
        raise error

    assert reported("name", body) == status
    assert capsys.readouterr().err == line


def test_a_defect_is_not_hidden() -> None:
    def body() -> int:
        return 1 // 0

    with pytest.raises(ZeroDivisionError):
        reported("name", body)


PRINTS = "import sys; from pipeline.errors import reported; sys.exit(reported('name', lambda: print('x' * 100) or 0))"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
def test_standard_output_on_a_full_disk() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", PRINTS], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == BAD_INPUT
    assert done.stderr == "name: output: No space left on device; name another file\n"


def test_standard_output_that_nobody_reads() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PRINTS], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == CLOSED
