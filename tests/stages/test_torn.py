"""Wherever a kill cuts DVC's own files short, what DVC would refuse is removed and what it reads is kept."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml
from voluptuous import Invalid

from stages.torn import holders, remove_torn_files, runs_dvc, whole_lock, whole_rwlock

LOCK = """schema: '2.0'
stages:
  params:
    cmd: python -m stages.params
    deps:
    - path: params.yaml
      hash: md5
      md5: 78a650d76989e2c14e07407233c05f71
      size: 10227
    params:
      params.yaml:
        train.batch_size:
        train.seed: 0
    outs:
    - path: params.valid
      hash: md5
      md5: d5025632465b7e1a7fa0c101a6a97e3a
      size: 21
  train@standard:
    cmd: python -m stages.train standard
    outs:
    - path: runs/modular-standard-s0
      hash: md5
      md5: d5025632465b7e1a7fa0c101a6a97e3a.dir
      size: 6
      nfiles: 1
"""


def read_by_dvc(text: str) -> bool:
    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(text, "dvc.lock"))
    except (YAMLFileCorruptedError, Invalid):
        return False
    return True


def test_wherever_the_lock_file_is_cut_dvc_reads_what_is_kept() -> None:
    kept = [cut for cut in range(len(LOCK) + 1) if whole_lock(LOCK[:cut])]
    assert kept[-1] == len(LOCK)
    assert len(kept) > 10
    assert all(read_by_dvc(LOCK[:cut]) for cut in kept)
    assert not read_by_dvc(LOCK[:0])


@pytest.mark.parametrize("name", ["dvc.lock", ".dvc/tmp/rwlock"])
def test_a_torn_file_is_removed_and_a_whole_one_is_not(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = LOCK if name == "dvc.lock" else '{"read": {"params.yaml": []}}'
    assert whole_lock(whole) if name == "dvc.lock" else whole_rwlock(whole)
    path.write_text(whole)
    remove_torn_files(tmp_path)
    assert path.read_text() == whole
    assert capsys.readouterr().err == ""
    path.write_text(whole[:-3])
    remove_torn_files(tmp_path)
    assert not path.exists()
    assert capsys.readouterr().err == f"{path}: was cut short by a kill; removed, so that DVC makes it again\n"
    remove_torn_files(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    return tmp_path


def held(repository: Path, number: int) -> Path:
    """DVC's lock file as process `number` writes it."""
    info = {"pid": number, "cmd": "dvc repro"}
    path = repository / ".dvc" / "tmp" / "rwlock"
    path.write_text(json.dumps({"write": {"/x/runs": info}, "read": {"/x/train": [info]}}))
    return path


def test_the_lock_of_a_killed_dvc_that_nobody_reaped_is_removed(repository: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)  # dvc repro"])
    path = held(repository, killed.pid)
    assert holders(path.read_text()) == {killed.pid}
    killed.send_signal(signal.SIGKILL)
    while runs_dvc(killed.pid):  # it is a zombie soon, and stays one: it is waited for below
        time.sleep(0.01)
    assert Path(f"/proc/{killed.pid}").exists()
    remove_torn_files(repository)
    assert not path.exists()
    killed.wait()


def test_the_lock_of_another_program_by_now_is_removed_and_that_of_a_running_dvc_is_not(repository: Path) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    path = held(repository, sleeper.pid)
    remove_torn_files(repository)
    assert not path.exists()
    sleeper.kill()
    sleeper.wait()
    running = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)  # dvc repro"])
    while b"dvc" not in Path(f"/proc/{running.pid}/cmdline").read_bytes():
        time.sleep(0.01)
    held(repository, running.pid)
    remove_torn_files(repository)
    assert path.exists()
    running.kill()
    running.wait()
