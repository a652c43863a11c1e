"""Reading recipes: YAML that may extend YAML, then the command line, with the origin of every value.

``extends`` names another recipe that this one changes; what the command line gives (``stages.second.steps=100``) comes
last. Unknown keys are errors. Every value of a shipped recipe carries a comment that says whose choice it is
(:data:`MARKS`), and :func:`marks_of` reads these comments, so that a card can repeat them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import untrusted
from ...errors import UsageError, unknown_name
from ..configuration import built, merged, parsed, read_table
from .checks import checked
from .recipe import Recipe

if TYPE_CHECKING:
    import yaml

SHIPPED = Path(__file__).parent

MARKS = ("reported", "as in MERT", "our choice")
"""Where a value comes from: CultureMERT's publications, MERT's code or configuration, or nobody but us."""

OVERRIDDEN = "command line"

WHAT = "a recipe"
"""What messages call it."""

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
    marks: dict[str, str] = {}
    content: dict[str, Any] = {}
    if name.startswith("_"):  # what shipped recipes share is none by itself
        raise unknown_name("recipe", name, shipped_recipes(), "cmbench pretrain")
    for path, changes in reversed(list(_chain(_find(name)))):
        content = merged(content, changes, Recipe, str(path), WHAT)
        marks |= marks_of(untrusted.read_text(path, untrusted.LARGEST_YAML))
    for override in overrides:
        content = merged(content, parsed(override, WHAT), Recipe, override, WHAT)
        key = override.partition("=")[0]
        marks = {k: m for k, m in marks.items() if k != key and not k.startswith(f"{key}.")} | {key: OVERRIDDEN}
    try:
        recipe = built(content, Recipe)
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
    seen: list[Path] = []
    while True:
        if path in seen:
            raise UsageError(f"{seen[0]}: the recipes extend each other in a circle: {' -> '.join(map(str, seen))}.")
        seen.append(path)
        content = read_table(path, WHAT)
        parent = content.pop("extends", None)
        yield path, content
        if parent is None:
            return
        beside = path.parent / f"{parent}.yaml"
        path = beside if beside.is_file() else _find(str(parent))


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
