"""Who may import whom: four floors, no arrow up, no circle; and stage scripts stay thin."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "catapult": {"pipeline"},
    "pipeline": set(),
    "verify": {"pipeline"},
    "train": {"pipeline", "verify"},
    "interp": {"pipeline"},
    "compress": {"pipeline", "train", "interp", "verify"},
    "stages": {"pipeline", "train", "interp", "compress", "verify"},
    "benchmarks": {"pipeline", "train", "interp", "compress", "verify", "stages"},
}


def imported(path: Path) -> set[str]:
    """Top-level names of every import in a file, wherever it stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_is_below_it(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        ours = imported(path) & (MAY_IMPORT.keys() | {"tests"}) - {room}
        assert ours <= MAY_IMPORT[room], f"{path.relative_to(ROOT)} imports {sorted(ours - MAY_IMPORT[room])}"


def test_only_the_edges_read_params_and_no_room_knows_dvc() -> None:
    for room in MAY_IMPORT:
        for path in (ROOT / room).rglob("*.py"):
            assert "dvc" not in imported(path)
            if room not in ("stages", "benchmarks") and path.name not in ("params.py", "__main__.py"):
                assert "load_params" not in path.read_text(), path


@pytest.mark.parametrize("module", ["verify", "verify.run", "stages.verify", "pipeline.tasks", "pipeline.params"])
def test_the_proofs_do_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_checker_stands_alone() -> None:
    assert imported(ROOT / "verify" / "checker.py") <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", sorted((ROOT / "stages").glob("*.py")), ids=lambda path: path.name)
def test_stage_scripts_stay_thin(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 80
