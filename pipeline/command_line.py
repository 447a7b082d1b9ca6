"""How every command reads its arguments: a wrong one is a UserError, so one line, and the exit status of any other."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import UserError
from pipeline.files import check_writable


class Parser(argparse.ArgumentParser):
    """argparse's, but `parse_args` raises UserError for a wrong argument, and a description keeps its lines.

    So do the parsers of its subcommands. The caller turns the UserError into a line: `pipeline.errors.reported`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **options})

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def output_file(text: str) -> Path:
    """The type of an option that names a file to write: UserError at once where that cannot be written."""
    path = Path(text)
    check_writable(path)
    if path.is_dir():
        raise UserError(f"{path}: a directory; name a file")
    return path
