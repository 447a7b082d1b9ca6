"""No edit leaves a stale result: each stage depends on all the code that it runs, as far as its imports say."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.lazy import homes

ROOT = Path(__file__).parents[2]
STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
DISCOVERED = {"pipeline/tasks/streaming.py": ["pipeline/tasks/streams"]}
"""Folders whose files are found by their names, and who looks there."""


def module_file(name: str) -> Path | None:
    """The file of a module of ours, None of any other."""
    path = ROOT.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def only_for_types(node: ast.stmt) -> bool:
    """Whether it is an `if TYPE_CHECKING:` block, which does not run."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@cache
def imports(file: Path) -> frozenset[Path]:
    """Files of ours that an import in the file, wherever it stands, runs: the modules and the packages they are in."""
    names: set[str] = set()
    tree = ast.parse(file.read_text())
    for node in (node for top in tree.body if not only_for_types(top) for node in ast.walk(top)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            package = module_file(node.module)
            assert package is None or not homes(str(package)).keys() & {alias.name for alias in node.names}, (
                f"{file}: import from the module itself, not by the package's lazy names"
            )
    found = {file for name in names for file in [module_file(name)] if file is not None}
    for name in names:
        parts = name.split(".")
        found |= {f for i in range(1, len(parts)) for f in [module_file(".".join(parts[:i]))] if f is not None}
    return frozenset(found)


def closure(entry: Path) -> set[Path]:
    """Every file of ours that running `python -m` with this file may run."""
    package = entry.parent / "__init__.py"
    left, seen = [entry, *([package] if package.exists() else [])], set[Path]()
    while left:
        file = left.pop()
        if file not in seen:
            seen.add(file)
            left += imports(file)
            for folder in DISCOVERED.get(str(file.relative_to(ROOT)), ()):
                left += sorted((ROOT / folder).glob("*.py"))
    return seen


def parts(stage: str) -> tuple[Path, list[str]]:
    """The script that a stage runs, and what it depends on."""
    described = STAGES[stage].get("do", STAGES[stage])
    module = described["cmd"].split()[2]
    file = module_file(module)
    assert file is not None
    main = file.with_name("__main__.py")
    return main if file.name == "__init__.py" else file, described["deps"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_it_runs(stage: str) -> None:
    entry, deps = parts(stage)
    files = {str(file.relative_to(ROOT)) for file in closure(entry)}
    missing = {file for file in files if not any(file == dep or file.startswith(f"{dep}/") for dep in deps)}
    assert missing == set(), f"{stage} runs them: name them in dvc.yaml"


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_depends_on_is_there(stage: str) -> None:
    _, deps = parts(stage)
    outputs = {"resolved", "runs", "analysis", "compressed", "proofs", "verdicts"}
    code = [dep for dep in deps if dep.split("/")[0] not in outputs]
    assert [dep for dep in code if not (ROOT / dep).exists()] == []


def test_the_walk_sees_lazy_imports_and_packages() -> None:
    files = {str(file.relative_to(ROOT)) for file in closure(ROOT / "stages" / "train.py")}
    assert {"train/run.py", "verify/teacher.py", "pipeline/__init__.py", "pipeline/tasks/streams/parity.py"} <= files
    assert "train/range_test.py" not in files
