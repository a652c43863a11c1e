"""Configurations: YAML and ``key=value`` merged into a schema, with errors that name key, value and remedy.

A schema is a dataclass of texts, numbers, truths, lists, tables and other such dataclasses. OmegaConf parses, converts
and merges; what does not fit the schema is found before, because its own words are about its classes. A single value
where a list is wanted is a list of one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from .. import untrusted
from ..errors import UsageError, quoted

MOST_VALUES = 5_000
"""Of a file: the largest recipe that ships has some eighty."""

_WANTED = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def parsed(change: str, what: str) -> dict[str, Any]:
    """Return ``key.sub=value`` as a table.

    Args:
        change: as it was typed.
        what: is changed, for messages: ``"a recipe"``.

    Raises:
        UsageError: it is not of that form, or its value is no YAML.
    """
    from omegaconf import OmegaConf

    key, equals, _ = change.partition("=")
    if not equals or not key:
        raise UsageError(f"{quoted(change)} changes nothing of {what}; write key=value, for example seed=9.")
    refuse_interpolation(change, "the command line", what)
    try:
        table = OmegaConf.to_container(OmegaConf.from_dotlist([change]))
    except Exception as error:
        raise UsageError(
            f"{quoted(change)} cannot be read: {str(error).splitlines()[0]}. A text with brackets, colons and blanks, "
            f"or quotation marks stands in quotation marks: '{key}=\"…\"'."
        ) from error
    assert isinstance(table, dict)
    return {str(name): value for name, value in table.items()}


def read_table(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file that is a table of keys.

    Raises:
        UsageError: it is something else.
    """
    from omegaconf import OmegaConf

    try:
        text = untrusted.read_text(path, untrusted.LARGEST_YAML)
        refuse_interpolation(text, str(path), what)
        untrusted.parse_yaml(text, path, MOST_VALUES)
        loaded = OmegaConf.to_container(OmegaConf.create(text))
    except UsageError:
        raise
    except Exception as error:  # a YAML error of one of three libraries, or a file that is no text
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        reason = " ".join(str(problem or error).split())[:200].replace("found duplicate key", "it has twice the key")
        line = "" if mark is None else f":{mark.line + 1}"
        raise UsageError(f"{path}{line}: this is not {what} in YAML: {reason}.") from error
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        strange = [key for key in loaded if not isinstance(key, str)] if isinstance(loaded, dict) else []
        told = f"; {strange[0]!r} is no key" if strange else ""
        raise UsageError(f"{path}: {what} is a table of keys and values{told}.")
    return {str(key): value for key, value in loaded.items()}


def refuse_interpolation(text: str, where: str, what: str) -> None:
    """Raise a usage error for OmegaConf's ``${…}``, which could read the environment."""
    if "${" in text:
        raise UsageError(f"{where}: {what} says its values; ${{...}} is not resolved in it.")


def merged(
    content: Mapping[str, Any], changes: Mapping[str, Any], schema: type, where: str, what: str
) -> dict[str, Any]:
    """Return a table of values with some of them replaced; lists as a whole, tables key by key.

    Args:
        content: as this function returned it, or empty.
        changes: table of the new values.
        schema: a dataclass.
        where: the changes are from, for messages.
        what: it is, for messages: ``"a recipe"``.

    Raises:
        UsageError: a key is unknown, or a value cannot be what the schema asks for.
    """
    from omegaconf import OmegaConf

    # Without the schema: releases of OmegaConf differ in what they do with frozen dataclasses and tuples.
    whole: Any = OmegaConf.to_container(
        OmegaConf.merge(OmegaConf.create(dict(content)), fitted(changes, schema, "", where, what))
    )
    return {str(key): value for key, value in whole.items()}


def built(content: Any, wanted: Any) -> Any:
    """Return the schema's object for values that :func:`fitted` has seen; what is not given has its default."""
    kind = get_origin(wanted)
    if kind in (UnionType, Union):
        return None if content is None else built(content, _not_none(wanted))
    if is_dataclass(wanted):
        hints = get_type_hints(wanted)
        return wanted(**{name: built(one, hints[name]) for name, one in content.items()})  # type: ignore[operator]
    if kind is dict:
        return {name: built(one, get_args(wanted)[1]) for name, one in content.items()}
    return tuple(content) if kind is tuple else content


def _not_none(wanted: Any) -> Any:
    (found,) = (one for one in get_args(wanted) if one is not NoneType)
    return found


def fitted(value: Any, wanted: Any, key: str, where: str, what: str) -> Any:
    """Return a value as the schema wants it at a key; arguments as in :func:`merged`, which explains the errors."""
    kind = get_origin(wanted)
    if kind in (UnionType, Union):
        return None if value is None else fitted(value, _not_none(wanted), key, where, what)
    if is_dataclass(wanted):
        hints = get_type_hints(wanted)
        if not isinstance(value, Mapping):
            raise _wrong(value, f"a table of {', '.join(hints)}", f"{_below(key, next(iter(hints)))}=…", key, where)
        for name in value:
            if name not in hints:
                raise UsageError(_unknown(key, str(name), list(hints), where, what))
        return {name: fitted(one, hints[name], _below(key, name), where, what) for name, one in value.items()}
    if kind is dict:
        if not isinstance(value, Mapping):
            raise _wrong(value, "a table", f"{_below(key, 'NAME')}=…", key, where)
        of = get_args(wanted)[1]
        return {str(name): fitted(one, of, _below(key, str(name)), where, what) for name, one in value.items()}
    if kind in (list, tuple):
        if isinstance(value, Mapping) or value is None:
            raise _wrong(value, "a list", f"{key}=[…]", key, where)
        items = value if isinstance(value, list | tuple) else [value]
        if kind is tuple and len(items) != len(get_args(wanted)):
            raise _wrong(value, f"a list of {len(get_args(wanted))}", f"{key}=[…]", key, where)
        return [fitted(one, get_args(wanted)[0], key, where, what) for one in items]
    return _scalar(value, wanted, key, where)


def _scalar(value: Any, wanted: type, key: str, where: str) -> Any:
    from omegaconf import BooleanNode, FloatNode, IntegerNode, StringNode
    from omegaconf.errors import ValidationError

    if wanted is str and (isinstance(value, bool) or not isinstance(value, str | int | float)):
        raise _wrong(value, "a text", f'{key}: "{value}" (in quotation marks)', key, where)
    node: Any = {str: StringNode, int: IntegerNode, float: FloatNode, bool: BooleanNode}[wanted]
    try:
        return node(value, is_optional=False)._value()
    except ValidationError as error:
        example = {str: "word", int: "3", float: "0.5", bool: "true"}[wanted]
        raise _wrong(value, _WANTED[wanted], f"{key}={example}", key, where) from error


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _wrong(value: Any, wanted: str, example: str, key: str, where: str) -> UsageError:
    given = "nothing" if value is None else quoted(value) if isinstance(value, str) else repr(value)
    return UsageError(f"{where}: {key} should be {wanted}, not {given}; write it like {example}")


def _unknown(key: str, name: str, known: list[str], where: str, what: str) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; the closest is {_below(key, close[0])!r}" if close else ""
    return f"{where}: {what} has no key {_below(key, name)!r}{hint}. Known here: {', '.join(known)}."
