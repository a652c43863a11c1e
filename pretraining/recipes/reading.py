"""Reading recipes: YAML that may extend YAML, then the command line, with the origin of every value.

``extends`` names another recipe that this one changes; what the command line gives (``stages.second.steps=100``) comes
last. Unknown keys are errors. Every value of a shipped recipe carries a comment that says whose choice it is
(:data:`MARKS`), and :func:`marks_of` reads these comments, so that a card can repeat them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import untrusted
from ...errors import UsageError, unknown_name
from .checks import checked
from .recipe import Recipe

if TYPE_CHECKING:
    import yaml

SHIPPED = Path(__file__).parent

MARKS = ("reported", "as in MERT", "our choice")
"""Where a value comes from: CultureMERT's publications, MERT's code or configuration, or nobody but us."""

OVERRIDDEN = "command line"

MOST_VALUES = 5_000
"""Of a recipe: the largest that ships has some eighty."""

_UNMARKED = ("name", "extends", "summary")
_MARK = re.compile(rf"#\s*({'|'.join(MARKS)})\b")


@dataclass(frozen=True)
class OpenedRecipe:
    """A recipe with the origin of its values.

    Attributes:
        recipe: the values.
        marks: dotted key -> one of :data:`MARKS`, ``command line``, or nothing where a user's recipe says none.
    """

    recipe: Recipe
    marks: Mapping[str, str]


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with cmbench."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml") if not path.stem.startswith("_")))


def open_recipe(name: str, overrides: Sequence[str] = ()) -> OpenedRecipe:
    """Read a recipe, what it extends, and what the command line changes.

    Args:
        name: of a shipped recipe, or a path to a ``.yaml`` file.
        overrides: each ``key.sub=value``.

    Raises:
        UsageError: no such recipe, an unknown key (the closest one is named), a value of the wrong type or out of its
            range.
    """
    from omegaconf import OmegaConf

    marks: dict[str, str] = {}
    config = OmegaConf.structured(Recipe)
    if name.startswith("_"):  # what shipped recipes share is none by itself
        raise unknown_name("recipe", name, shipped_recipes(), "cmbench pretrain")
    for path, content in reversed(list(_chain(_find(name)))):
        config = _merged(config, content, str(path))
        marks |= marks_of(untrusted.read_text(path, untrusted.LARGEST_YAML))
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals or not key:
            raise UsageError(
                f"{override!r} changes nothing of a recipe; write key=value, for example stages.s.steps=9."
            )
        _refuse_interpolation(override, "the command line")
        config = _merged(config, _parsed(override), override)
        marks = {k: m for k, m in marks.items() if k != key and not k.startswith(f"{key}.")} | {key: OVERRIDDEN}
    try:
        recipe = OmegaConf.to_object(config)
    except Exception as error:
        raise UsageError(f"{name}: {str(error).splitlines()[0]}") from error
    assert isinstance(recipe, Recipe)
    return OpenedRecipe(checked(recipe), marks)


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UsageError(f"{path}: there is no such recipe.")
        return path
    path = SHIPPED / f"{name}.yaml"
    if not re.fullmatch(r"[\w-]+", name) or not path.is_file():
        raise unknown_name("recipe", name, shipped_recipes(), "cmbench pretrain")
    return path


def _chain(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a recipe, then what it extends, and so on."""
    from omegaconf import OmegaConf

    seen: list[Path] = []
    while True:
        if path in seen:
            raise UsageError(f"{seen[0]}: the recipes extend each other in a circle: {' -> '.join(map(str, seen))}.")
        seen.append(path)
        try:
            text = untrusted.read_text(path, untrusted.LARGEST_YAML)
            _refuse_interpolation(text, str(path))
            untrusted.parse_yaml(text, path, MOST_VALUES)
            loaded = OmegaConf.to_container(OmegaConf.create(text))
        except UsageError:
            raise
        except Exception as error:  # a YAML error of one of three libraries, or a file that is no text
            reason = " ".join(str(error).split())[:200]
            raise UsageError(f"{path}: this is not a recipe in YAML ({reason}).") from error
        if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
            raise UsageError(f"{path}: a recipe is a table of keys and values.")
        content = {str(key): value for key, value in loaded.items()}
        parent = content.pop("extends", None)
        yield path, content
        if parent is None:
            return
        beside = path.parent / f"{parent}.yaml"
        path = beside if beside.is_file() else _find(str(parent))


def _refuse_interpolation(text: str, where: str) -> None:
    if "${" in text:
        raise UsageError(f"{where}: a recipe says its values; ${{...}} is not resolved in it.")


def _parsed(override: str) -> Any:
    from omegaconf import OmegaConf

    try:
        return OmegaConf.from_dotlist([override])
    except Exception as error:
        raise UsageError(f"{override!r} cannot be read: {str(error).splitlines()[0]}") from error


def _merged(config: Any, content: Any, where: str) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

    try:
        return OmegaConf.merge(config, content)
    except ConfigKeyError as error:
        raise UsageError(_unknown_key(error, where)) from error
    except TypeError as error:  # a list where there should be a table
        raise UsageError(f"{where}: {str(error).splitlines()[0]}.") from error
    except OmegaConfBaseException as error:
        place = f"{error.full_key}: " if error.full_key else ""
        raise UsageError(f"{where}: {place}{str(error).splitlines()[0]}.") from error


def _unknown_key(error: Any, where: str) -> str:
    parent, _, key = str(error.full_key).rpartition(".")
    known = list(getattr(error.object_type, "__dataclass_fields__", {}))
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.3)
    hint = f"; the closest is {(parent + '.' if parent else '') + close[0]!r}" if close else ""
    return f"{where}: a recipe has no key {error.full_key!r}{hint}. Known here: {', '.join(known)}."


def marks_of(text: str) -> dict[str, str]:
    """Return whose choice each value of a recipe is: dotted key -> mark, empty where the line's comment names none.

    Args:
        text: of the YAML file.
    """
    import yaml

    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found: dict[str, str] = {}
    for key, line in _leaves(root, ()):
        if key not in _UNMARKED:
            mark = _MARK.search(lines[line])
            found[key] = mark[1] if mark else ""
    return found


def _leaves(node: yaml.Node | None, path: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield the dotted key of every value that is no table, and the line it ends on."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, (*path, str(key.value)))
    elif node is not None and path:
        yield ".".join(path), node.end_mark.line
