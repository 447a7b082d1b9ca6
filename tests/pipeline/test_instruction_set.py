"""Every room holds torch and numpy to one instruction set before it loads them, unless that is switched off."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import BAD_INPUT
from pipeline.instruction_set import NEEDED, SWITCH, VARIABLES, has_instruction_set

ROOT = Path(__file__).parents[2]
ROOMS = ("train", "interp", "compress", "verify", "stages", "benchmarks")
SEEN = """
import json, os, sys, {room}
import numpy, threadpoolctl, torch
blas = [one["architecture"] for one in threadpoolctl.threadpool_info() if one["internal_api"] == "openblas"]
print(json.dumps([dict(os.environ), torch.backends.cpu.get_cpu_capability(), blas]))
"""
"""Imports a room before anything else, and tells the environment and the kernels that torch and numpy chose."""


def begun(room: str, **environment: str) -> subprocess.Popen[str]:
    """A fresh interpreter in which `room` is imported; of the variables in question only those given are set."""
    clean = {name: value for name, value in os.environ.items() if name not in (SWITCH, *VARIABLES)}
    return subprocess.Popen(
        [sys.executable, "-c", SEEN.format(room=room)],
        cwd=ROOT, env={**clean, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(not has_instruction_set(), reason="this processor has no x86-64-v3")
def test_every_room_holds_torch_and_numpy_to_it() -> None:
    for room, process in [(room, begun(room)) for room in ROOMS]:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, (room, error)
        environment, capability, blas = json.loads(out)
        assert {name: environment.get(name) for name in VARIABLES} == VARIABLES, room
        assert capability == "AVX2", room
        assert blas, "numpy's own library tells its architecture"
        assert set(blas) == {"Haswell"}, room


def test_native_leaves_the_variables_alone() -> None:
    out, error = begun("train", **{SWITCH: "native", "ONEDNN_MAX_CPU_ISA": "SSE41"}).communicate(timeout=120)
    assert out, error
    environment = json.loads(out)[0]
    assert {name: environment[name] for name in VARIABLES if name in environment} == {"ONEDNN_MAX_CPU_ISA": "SSE41"}


def test_an_unknown_value_is_one_line() -> None:
    process = begun("verify", **{SWITCH: "fast"})
    out, error = process.communicate(timeout=120)
    assert (process.returncode, out) == (BAD_INPUT, "")
    assert error.startswith("CATAPULT_KERNELS = 'fast': give same")
    assert error.count("\n") == 1


V3 = " ".join(sorted(NEEDED))
INTEL = "GenuineIntel"
PROCESSORS = {
    "Intel": (f"vendor_id\t: {INTEL}\nflags\t\t: fpu sse2 {V3} avx512f\n", True),
    "AMD, two of them": (
        f"vendor_id\t: AuthenticAMD\nflags\t\t: {V3} sse4a\n\nprocessor\t: 1\nflags\t\t: {V3}\n",
        True,
    ),
    "AVX2 without FMA": (f"vendor_id\t: {INTEL}\nflags\t\t: {V3.replace('fma ', '')} fma4\n", False),
    "before AVX2": (f"vendor_id\t: {INTEL}\nflags\t\t: fpu sse4_1 sse4_2 avx\n", False),
    "the names elsewhere": (f"model name\t: {V3}\nflags\t\t: fpu\nvmx flags\t: {V3}\n", False),
    "ARM": (f"Features\t: fp asimd {V3}\n", False),
    "empty": ("", False),
}


@pytest.mark.parametrize(("text", "has"), PROCESSORS.values(), ids=PROCESSORS)
def test_what_the_kernel_says_of_a_processor(
    text: str, has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert has_instruction_set(tmp_path / "cpuinfo") is has
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert not has_instruction_set(tmp_path / "cpuinfo")


def test_a_system_that_does_not_say_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert not has_instruction_set(tmp_path / "missing")
    (tmp_path / "bytes").write_bytes(b"\xff\xfeflags\t: avx2\n")
    assert not has_instruction_set(tmp_path / "bytes")


@pytest.mark.parametrize("kernels", ["same", "native"])
def test_git_leaves_dvc_lock_alone_only_where_it_is_the_users_own(kernels: str, tmp_path: Path) -> None:
    """The Makefile's own lines, with everything around them replaced by nothing."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if "is_held" in line)
    recipe = "\n".join(lines[first : first + 3]).replace("$(BIN)/python", f"PYTHONPATH={ROOT} {sys.executable}")
    (tmp_path / "Makefile").write_text(f"repro:\n{recipe}\n")
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "dvc.lock").write_text("theirs")
    subprocess.run([*git, "add", "dvc.lock"], check=True)
    clean = {name: value for name, value in os.environ.items() if name not in (SWITCH, *VARIABLES)}
    subprocess.run(["make", "-s", "-C", str(tmp_path)], env={**clean, SWITCH: kernels}, check=True)
    (tmp_path / "dvc.lock").write_text("mine")
    changed = subprocess.run([*git, "diff", "--name-only"], capture_output=True, text=True, check=True).stdout
    assert (changed == "dvc.lock\n") == (kernels == "same" and has_instruction_set())
