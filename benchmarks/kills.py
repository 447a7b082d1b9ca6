"""python -m benchmarks.kills: does a pipeline that is killed again and again end in the bytes of one left alone?

HEAD is cloned twice into a temporary folder. In the first clone the pipeline runs undisturbed, as `make repro` runs it.
In the second one it is killed with SIGKILL, itself and every process it started, at a moment drawn uniformly from the
time that an undisturbed one takes, and given again, until it has been killed --times times and has then come to its
end. What ends before its moment is compared, its results are thrown away, and the next one begins from nothing, so that
the kills fall on every stage. What is claimed of every ending, and counted:

  - the files of all outputs have the bytes of the undisturbed run, and dvc.lock has its hashes;
  - the same files come back once they are removed and the pipeline is given again;
  - nothing half-written is left beside them, and no process is left over.

The parameters are small ones (p = 23) unless --real asks for those of params.yaml. Torch runs on one thread. The exit
status is 1 where anything of this does not hold.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.command_line import Parser
from pipeline.errors import UserError, reported

ROOT = Path(__file__).parents[1]
SMALL = {
    "p: 113": "p: 23",
    "train_fraction: 0.3": "train_fraction: 0.6",
    "steps: 500": "steps: 60",
    "steps: 1200": "steps: 300",
    "first_hidden: 16": "first_hidden: 9",
    "last_hidden: 5": "last_hidden: 8",
    "students: 16": "students: 8",
    "round_steps: 400": "round_steps: 100",
    "distill_steps: 600": "distill_steps: 200",
    "restarts: 6": "restarts: 2",
    "attempts: 3": "attempts: 1",
    "replicates: 100": "replicates: 20",
}
"""Edits of params.yaml after which the whole pipeline takes some four minutes."""
OUTPUTS = ("runs", "analysis", "compressed", "proofs", "verdicts", "report", "resolved")


def shrink(params: Path) -> None:
    """Make params.yaml small; UserError where it no longer has what is to be edited."""
    text = params.read_text()
    for old, new in SMALL.items():
        if old not in text:
            raise UserError(f"{params}: has no {old!r} to make small; mend SMALL in benchmarks/kills.py")
        text = text.replace(old, new, 1)
    params.write_text(text)


class Clone:
    """A checkout of HEAD of its own, with a cache of its own, in which `dvc repro` can run and be killed."""

    def __init__(self, directory: Path, small: bool) -> None:
        self.directory, self.log = directory, directory.with_suffix(".log")
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(directory)], check=True)
        (directory / "dvc.lock").unlink()
        if small:
            shrink(directory / "params.yaml")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1"}

    def repro(self, kill_after: float | None = None) -> bool:
        """Whether the pipeline came to its end before it was killed; UserError where it failed on its own."""
        with self.log.open("w") as log:
            process = subprocess.Popen(
                ["sh", "-c", "python -m stages.params && exec dvc repro"],
                cwd=self.directory,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                status = process.wait(kill_after)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return False
        if status:
            said = " | ".join(self.log.read_text().strip().splitlines()[-6:])
            raise UserError(f"dvc repro = status {status} after kills; its output ends: {said}")
        return True

    def moment(self) -> str:
        """Where the last call was when it was killed, as its output says, and what it had found torn."""
        lines = self.log.read_text().splitlines()
        torn = [f"; {line}" for line in lines if "cut short by a kill" in line]
        stages = [line.split("'")[1] for line in lines if line.startswith("Running stage")]
        return (f"in {stages[-1]}" if stages else "before the first stage that was due") + "".join(torn)

    def hashes(self) -> dict[str, str]:
        """SHA-256 of every file of every output, by its path."""
        files = [
            file
            for name in OUTPUTS
            for file in (self.directory / name, *sorted((self.directory / name).rglob("*")))
            if file.is_file()
        ]
        return {str(file.relative_to(self.directory)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    def locked(self) -> dict[str, Any]:
        """The outputs that dvc.lock lists for each stage."""
        stages = YAML(typ="safe").load((self.directory / "dvc.lock").read_text())["stages"]
        return {name: stage.get("outs") for name, stage in stages.items()}

    def remove_outputs(self) -> None:
        for name in OUTPUTS:
            path = self.directory / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def start_over(self) -> None:
        """Without outputs, dvc.lock, and DVC's cache, which would give the results back instead of making them."""
        self.remove_outputs()
        (self.directory / "dvc.lock").unlink()
        shutil.rmtree(self.directory / ".dvc" / "cache")

    def left_over(self) -> list[str]:
        """What is neither tracked nor ignored nor an output: half-written files; and processes that still run here."""
        names = [str(path.relative_to(self.directory)) for path in self.directory.rglob(".*.part*")]
        names += [str(path.relative_to(self.directory)) for path in self.directory.rglob(".*.old")]
        names += [str(path.relative_to(self.directory)) for path in self.directory.glob(".cache/train/*")]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").resolve(strict=True) == self.directory.resolve():
                    names.append(f"process {process.name}")
            except OSError:  # ended in the meantime
                continue
        return names


def differences(clone: Clone, alone: Clone) -> list[str]:
    """What is not as claimed of a clone in which `dvc repro` has come to its end."""
    wanted, found = alone.hashes(), clone.hashes()
    wrong = [f"{path}: other bytes" for path in sorted(wanted) if found.get(path, "") != wanted[path]]
    wrong += [f"{path}: not in the undisturbed run" for path in sorted(found.keys() - wanted)]
    wrong += [f"{name}: left over" for name in clone.left_over()]
    wanted, found = alone.locked(), clone.locked()
    wrong += [f"{stage}: other hashes in dvc.lock" for stage in wanted if found.get(stage) != wanted[stage]]
    if not wrong:
        before = clone.hashes()
        clone.remove_outputs()
        clone.repro()
        wrong += ["outputs that were removed: other bytes"] if clone.hashes() != before else []
    return wrong


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="how often it is killed (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--real", action="store_true", help="the parameters of params.yaml as they are")
    options = parser.parse_args(arguments)
    if options.times < 1:
        raise UserError(f"--times = {options.times}: give 1 or more")
    if not (ROOT / ".git").exists():
        raise UserError(f"{ROOT}: not a git repository, of which clones are made; clone the project with git")
    moments = random.Random(options.seed)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        alone = Clone(Path(folder) / "alone", not options.real)
        began = time.monotonic()
        alone.repro()
        whole = time.monotonic() - began
        print(f"undisturbed: {whole:.0f} s, {len(alone.hashes())} files", flush=True)
        clone = Clone(Path(folder) / "killed", not options.real)
        killed = endings = 0
        from_nothing = True
        while True:
            after = moments.uniform(0, whole) if killed < options.times else None
            began = time.monotonic()
            if after is not None and not clone.repro(after):
                killed, from_nothing = killed + 1, False
                print(f"kill {killed:>3} after {after:6.1f} s {clone.moment()}", flush=True)
                continue
            if after is None:
                clone.repro()
            elif from_nothing:
                whole = time.monotonic() - began  # the machine's other work may have changed
            endings += 1
            found = differences(clone, alone)
            wrong += found
            lines = ["came to its end: " + ("the same bytes" if not found else "NOT the same"), *found]
            print("\n".join(lines), flush=True)
            if after is None:
                break
            clone.start_over()
            from_nothing = True
    print(f"{killed} kills, {endings} endings, {len(wrong)} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.kills", main))
