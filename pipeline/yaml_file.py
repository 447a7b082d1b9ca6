"""A YAML file as plain values, read so that no file can hang, exhaust or crash the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent, ScalarEvent

from pipeline.errors import UserError

MOST_BYTES = 1 << 20
MOST_VALUES = 50_000
"""With every alias written out in full; params.yaml has some hundred."""
DEEPEST = 20


def read_yaml(path: Path) -> Any:
    """The value of the document in a file. Raises UserError, which names the file, where it cannot be had.

    Anchors and aliases are read, but not one within itself nor many that multiply to more than MOST_VALUES values;
    tags are not.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the root of the checkout or give its path") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; give a YAML file") from None
    if len(data) > MOST_BYTES:
        raise UserError(f"{path}: larger than {MOST_BYTES:,} bytes; give a YAML file of parameters")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{path}: not UTF-8 (byte {data[error.start]:#04x} in line {line}); save it as UTF-8") from None
    try:
        _refuse_explosions(path, text)
        return YAML(typ="safe").load(text)
    except (
        YAMLError,
        ValueError,
    ) as error:  # ValueError: a date or a number that YAML's form allows and there is none of
        problem = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise UserError(f"{path}: not valid YAML: {problem[:200]}") from None


def _refuse_explosions(path: Path, text: str) -> None:
    """UserError where values are tagged, or nested or repeated too much; found on events, before any value is made."""
    sizes: dict[str, int] = {}  # of what each anchor stands for, once that has ended
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]  # anchor, and values so far, of what has not ended
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, CollectionStartEvent | ScalarEvent) and event.tag is not None:
            tag, line = str(event.tag).replace("tag:yaml.org,2002:", "!!"), event.start_mark.line + 1
            raise UserError(f"{path}: tag {tag} in line {line} is not read; take it out")
        if isinstance(event, CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
            if len(open_nodes) > DEEPEST:
                raise UserError(f"{path}: line {event.start_mark.line + 1} is nested deeper than {DEEPEST}; flatten it")
            continue
        if isinstance(event, AliasEvent):
            if event.anchor in [anchor for anchor, _ in open_nodes]:
                line = event.start_mark.line + 1
                raise UserError(f"{path}: *{event.anchor} in line {line} lies in &{event.anchor} itself; write it out")
            anchor, size = None, sizes.get(event.anchor, 1)
        elif isinstance(event, CollectionEndEvent):
            anchor, size = open_nodes.pop()
        elif isinstance(event, NodeEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        outer, before = open_nodes[-1]
        open_nodes[-1] = outer, before + size
        if before + size > MOST_VALUES:
            raise UserError(f"{path}: holds more than {MOST_VALUES:,} values, aliases written out; take some out")
