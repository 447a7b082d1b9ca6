"""Whatever cannot be written is one line, said before the work where it can be known, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.command_line import output_file
from pipeline.errors import UserError
from pipeline.files import check_writable, fresh_directory, only_replaces, write_atomically


def refusing(number: int) -> Any:
    """Something to call that the system refuses, as it does for a read-only or a full disk."""

    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_what_can_be_written_is_accepted_and_nothing_is_created(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deep" / "down")
    only_replaces(tmp_path / "runs" / "key", ("params.json",))
    assert output_file(str(tmp_path / "a.json")) == tmp_path / "a.json"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", [check_writable, lambda path: only_replaces(path, ()), lambda p: output_file(str(p))])
def test_below_a_file(tmp_path: Path, check: Any) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "out", tmp_path / "file" / "deep" / "out"):
        with pytest.raises(UserError, match=r"out: lies under a file; name another"):
            check(path)


def test_writing_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "out", tmp_path / "file" / "deep" / "out"):
        with pytest.raises(UserError, match="lies under a file"):
            write_atomically(path, "")
        with pytest.raises(UserError, match="lies under a file"), fresh_directory(path):
            pytest.fail("the work began")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EROFS, "Read-only file system; name another"),
        (errno.EACCES, "Permission denied; name another"),
        (errno.ENOSPC, "No space left on device; make room on its disk"),
        (errno.EDQUOT, "; make room on its disk"),
    ],
)
def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    monkeypatch.setattr("pipeline.files.TemporaryFile", refusing(number))
    for check in (check_writable, lambda path: only_replaces(path, ()), lambda path: output_file(str(path))):
        with pytest.raises(UserError, match=rf"a/b: cannot be written: .*{said}"):
            check(tmp_path / "a" / "b")
    with pytest.raises(UserError, match=said), fresh_directory(tmp_path / "a" / "b"):
        pytest.fail("the work began")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old output stays, nothing half-written does, and the line says what is kept."""
    with fresh_directory(tmp_path / "out") as directory:
        (directory / "old").write_text("")

    def fill() -> None:
        with fresh_directory(tmp_path / "out", "the training is kept") as directory:
            (directory / "new").write_text("")
            refusing(errno.ENOSPC)()

    with pytest.raises(UserError, match=r"out: cannot be written: No space .* \(the training is kept\)$"):
        fill()
    write_atomically(tmp_path / "file", "old")
    monkeypatch.setattr("pipeline.files.os.fsync", refusing(errno.ENOSPC))
    with pytest.raises(UserError, match="file: cannot be written: No space"):
        write_atomically(tmp_path / "file", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out"]
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]


def test_a_file_that_cannot_be_read_is_not_called_unwritable(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), fresh_directory(tmp_path / "here" / "out"):
        (tmp_path / "elsewhere").read_text()


def test_the_working_directory_and_a_mount_point_are_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for path in (Path("."), Path(".."), tmp_path, Path("/")):
        with pytest.raises(UserError, match="the working directory lies in it; name another"):
            check_writable(path)
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "disk")
    with pytest.raises(UserError, match="disk: a mount point, which cannot be replaced; name a directory in it"):
        check_writable(Path("disk"))


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written: File name too long; name another"):
        check_writable(tmp_path / ("x" * 300) / "out")


def test_a_directory_in_place_of_a_file(tmp_path: Path) -> None:
    for write in (lambda: output_file(str(tmp_path)), lambda: write_atomically(tmp_path, "")):
        with pytest.raises(UserError, match="a directory; name a file"):
            write()
