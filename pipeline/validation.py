"""Plain values as typed parameters, and a mistake in them as one line: key = value: mend."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.errors import UserError
from pipeline.fields import Params
from pipeline.yaml_file import read_yaml

P = TypeVar("P", bound=Params)


def load_checked(path: Path, kind: type[P]) -> P:
    """Read a YAML file of `kind`; a mistake raises UserError naming the key, the value and the mend."""
    return checked(read_yaml(path), kind, str(path))


def checked(values: Any, kind: type[P], source: str) -> P:
    """Plain values as a `kind`; a mistake raises UserError, which begins with `source`, where the values are from."""
    if not isinstance(values, dict):
        raise UserError(f"{source}: expected a mapping with the keys {', '.join(kind.model_fields)}")
    try:
        return kind.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise UserError(f"{source}: {_explain(error, kind, values)}") from None
    except TypeError as error:  # of json: a date, or a key that is no text
        raise UserError(f"{source}: {error}; write text and numbers") from None


def _explain(error: ValidationError, kind: type[Params], values: Any) -> str:
    """The first of pydantic's complaints as one line: key = value: mend."""
    first = error.errors(include_url=False)[0]
    path = _without_tags(first["loc"], values, first["type"] == "missing")
    key = ".".join(path)
    value = _short(first["input"])
    if first["type"] == "extra_forbidden":
        known = _known_keys(path[:-1], kind)
        close = difflib.get_close_matches(path[-1], known, n=1)
        mend = f"did you mean {close[0]}?" if close else f"remove it; known here: {', '.join(known)}"
        return f"{key} = {value}: no such key; {mend}"
    if first["type"] == "missing":
        return f"{key} is missing: add it"
    message = first["msg"].removeprefix("Value error, ")
    if isinstance(first["input"], dict) and first["type"] == "value_error":
        return f"{key}: {message}" if key else message
    mend = _description(path, kind)
    return f"{key} = {value}: {message}" + (f"; {mend}" if mend else "")


def _without_tags(location: tuple[Any, ...], values: Any, missing: bool) -> list[str]:
    """The keys as they stand in `values`: of a key that may be of several kinds pydantic names the kind after it."""
    path: list[str] = []
    for i, part in enumerate(location):
        there = part in values if isinstance(values, dict) else isinstance(part, int) and part < len(values)
        if there:
            values = values[part]
        elif not (missing and i == len(location) - 1):
            continue
        path.append(str(part))
    return path


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _walk(path: list[str], kind: type[Params]) -> list[Any]:
    """The JSON schemas that a key path can mean (an optimiser may be either of two)."""
    schema = kind.model_json_schema()
    definitions = schema.get("$defs", {})  # none where no field is a model or an enumeration of its own

    def resolve(node: dict[str, Any]) -> list[dict[str, Any]]:
        if "$ref" in node:
            resolved = definitions[node["$ref"].rsplit("/", 1)[-1]]
            return [{**resolved, **{k: v for k, v in node.items() if k == "description"}}]
        options = node.get("oneOf") or node.get("anyOf")
        return [found for option in options for found in resolve(option)] if options else [node]

    here = [schema]
    for part in path:
        children = []
        for node in here:
            if part in node.get("properties", {}):
                child = node["properties"][part]
                children += [{"mend": _mend(child, c), **c} for c in resolve(child)]
            elif isinstance(node.get("additionalProperties"), dict):
                child = node["additionalProperties"]
                children += [{"mend": _mend(child, c), **c} for c in resolve(child)]
            elif part.isdigit() and isinstance(node.get("items"), dict):
                children += resolve(node["items"])
            elif part.isdigit() and "prefixItems" in node:
                children += [{**c, "mend": c.get("description", "")} for c in resolve(node["prefixItems"][int(part)])]
        here = children
    return here


def _mend(node: dict[str, Any], option: dict[str, Any]) -> str:
    """What a key's own description says to write, or that of the number that it may be instead of null."""
    return node.get("description") or (option.get("description", "") if option.get("type") != "object" else "")


def _known_keys(path: list[str], kind: type[Params]) -> list[str]:
    return sorted({key for node in _walk(path, kind) for key in node.get("properties", {})})


def _description(path: list[str], kind: type[Params]) -> str:
    return next((node["mend"] for node in _walk(path, kind) if node.get("mend")), "")
