"""The one reader of files that operations, lawyers and testers write: YAML (JSON is YAML too) into checked values.

In:   a path, and the type that the file must have.
Out:  a value of that type; or one `ConfigError` that says file, line, place and reason of everything that is wrong.
Pure: no; reads files.

YAML 1.1 reads 21:00 as 1260 and NO as false, and lets a repeated key win silently. So every scalar stays text here (only
a plain `null`, `~` or nothing is None), a repeated key is an error, and the types come from the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")

NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
JSON_ESCAPE: Final = re.compile(r"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|.)", re.IGNORECASE | re.DOTALL)


class ConfigError(ValueError):
    """A file cannot be used. The message never repeats a value: a case file may hold personal data.

    Attributes:
        file: As the caller named it.
        line: First line of the place, from 1; None = the whole file.
        where: Path inside the file; an item of a list is named by its `id` where it has one. Empty = the whole file.
        reason: What is wrong there.
        more: Everything else that is wrong in the same file.
    """

    def __init__(self, file: Path | str, line: int | None, where: str, reason: str, more: Sequence[ConfigError] = ()) -> None:
        """Build the message: one line a problem, `file:line: where: reason`."""
        self.file, self.line, self.where, self.reason, self.more = str(file), line, where, reason, tuple(more)
        place = self.file if line is None else f"{self.file}:{line}"
        own = ": ".join(part for part in (place, where, reason) if part)
        super().__init__("\n".join([own, *map(str, self.more)]))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[Any, ...]]:
        """As it is handed from one process to another: by what it was built from."""
        return type(self), (self.file, self.line, self.where, self.reason, self.more)


class PlainYaml(yaml.CBaseLoader):
    """YAML in which every scalar but a plain null is text, and a repeated key is an error.

    Nothing here goes by tags, so they are not worked out, and values are made in one walk: every command reads hundreds of files.
    """

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """Any tag: none is looked at."""
        del kind, value, implicit
        return "tag:yaml.org,2002:str"

    def descend_resolver(self, current_node: yaml.Node | None, current_index: Any) -> None:
        """Nothing to find out."""

    def ascend_resolver(self) -> None:
        """Nothing was found out."""

    def construct_document(self, node: yaml.Node) -> Any:
        """The node's value; what an anchor names is one value, wherever it stands."""
        return self._value(node, {})

    def _value(self, node: yaml.Node, made: dict[int, Any]) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return None if not node.style and node.value in NULLS else node.value
        if id(node) in made:
            if made[id(node)] is _UNFINISHED:
                raise yaml.constructor.ConstructorError(None, None, "found unconstructable recursive node", node.start_mark)
            return made[id(node)]
        made[id(node)] = _UNFINISHED
        value = self._mapping(node, made) if isinstance(node, yaml.MappingNode) else [self._value(one, made) for one in node.value]
        made[id(node)] = value
        return value

    def _mapping(self, node: yaml.MappingNode, made: dict[int, Any]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    "while constructing a mapping", node.start_mark, "found unhashable key", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, "this key is given twice", key.start_mark)
            seen.add(key.value)
            found[self._value(key, made)] = self._value(value, made)
        return found


_UNFINISHED: Final = object()


class Strict(BaseModel):
    """Unknown keys are errors: a typo in a rule must not switch the rule off."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _whole(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"-?(0|[1-9][0-9]*)", value, re.ASCII):
        raise ValueError("not a whole number")
    return value


def decimal(like: str, pattern: str = r"[0-9]+(\.[0-9]+)?") -> BeforeValidator:
    """Reads a number with a point, which the reader keeps as text; one without is a whole number already.

    Args:
        like: What it is and looks like, for the error.
        pattern: Of what is written.
    """

    def read_one(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"not {like}")
        return Decimal(value) if isinstance(value, str) else value

    return BeforeValidator(read_one)


def _day(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value, re.ASCII):
        raise ValueError("not a date like 2026-03-31")
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise ValueError("no such day in the calendar") from error


# Pydantic alone would read 10.0 and 1_000 as whole numbers, and 1700000000 as a date.
Whole = Annotated[int, BeforeValidator(_whole)]
Day = Annotated[date, BeforeValidator(_day)]


@dataclass(frozen=True, slots=True)
class Document:
    """A file that is YAML, not yet checked against a form.

    Attributes:
        path: As the caller named it.
        root: Its nodes, which know their lines.
        plain: The same as plain values, every scalar a text or None.
    """

    path: Path
    root: yaml.Node | None
    plain: Any

    def error(self, location: Sequence[int | str], reason: str) -> ConfigError:
        """What is wrong at a place: keys and numbers of items from the root on."""
        return _problem(self.path, self.root, tuple(location), reason)


def read(path: Path, form: type[T]) -> T:
    """Read one YAML or JSON file as a value of `form` (a `Strict` model, or a list or dict of them).

    Raises:
        ConfigError: The file is missing, not UTF-8, not YAML, or not of that form; all problems of form at once.
    """
    document = parse(path)
    return checked(document, document.plain, form)


def parse(path: Path, text: str | None = None) -> Document:
    """Read one file as plain values.

    Args:
        path: The file.
        text: What it holds, where that is kept elsewhere; None = read it.

    Raises:
        ConfigError: The file is missing, not UTF-8, or not YAML.
    """
    return Document(path, *_parse(path, _as_yaml(text_of(path) if text is None else text)))


def checked(document: Document, plain: object, form: type[T]) -> T:
    """Plain values as a value of `form`.

    Args:
        document: Says where a problem stands.
        plain: The document's own values, or those with something filled in.
        form: A `Strict` model, or a list or dict of them.

    Raises:
        ConfigError: The values are not of that form; all problems at once.
    """
    try:
        return _adapter(form).validate_python(plain)  # type: ignore[no-any-return]  # an adapter of `form` makes a T
    except ValidationError as error:
        problems = [document.error(details["loc"], _reason(details["type"], details["msg"])) for details in error.errors()]
        first, *more = problems
        raise ConfigError(first.file, first.line, first.where, first.reason, more) from None


# Made once: of a form with many parts an adapter takes as long as a file.
_ADAPTERS: Final[dict[Any, TypeAdapter[Any]]] = {}


def _adapter(form: Any) -> TypeAdapter[Any]:
    if form not in _ADAPTERS:
        _ADAPTERS[form] = TypeAdapter(form)
    return _ADAPTERS[form]


def text_of(path: Path) -> str:
    """What a file holds.

    Raises:
        ConfigError: It is missing, or not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(path, None, "", "not UTF-8 text") from error
    except OSError as error:
        raise ConfigError(path, None, "", f"cannot be read: {error.strerror}") from error


def _as_yaml(text: str) -> str:
    """JSON that libyaml would refuse (tabs between tokens, UTF-16 escapes) as the same JSON without them; other text as it is."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return JSON_ESCAPE.sub(_unescaped, text.replace("\t", " "))


def _unescaped(escape: re.Match[str]) -> str:
    high, low = escape.groups()
    return bytes.fromhex(high + low).decode("utf-16-be") if high else escape[0]


def _parse(path: Path, text: str) -> tuple[yaml.Node | None, Any]:
    """The file's nodes, which know their lines, and the plain values made of them."""
    loader = PlainYaml(text)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(path, mark.line + 1 if mark else None, "", f"not YAML: {reason}") from error
    except yaml.YAMLError as error:
        raise ConfigError(path, None, "", "not YAML: a character that YAML does not allow") from error
    except RecursionError as error:
        raise ConfigError(path, None, "", "not YAML that can be read: nested too deeply") from error
    finally:
        loader.dispose()


def _reason(kind: str, message: str) -> str:
    """Words for people; pydantic's own where they do."""
    words = {"extra_forbidden": "unknown field", "missing": "required field is missing"}
    return words.get(kind, message.removeprefix("Value error, "))


def _problem(path: Path, root: yaml.Node | None, location: tuple[int | str, ...], reason: str) -> ConfigError:
    line = None if root is None else root.start_mark.line + 1
    names: list[str] = []
    for step, node in _walk(root, location):
        line = line if node is None else node.start_mark.line + 1
        names.append(f"[{_id_of(node) or step}]" if isinstance(step, int) else f".{step}")
    where = "".join(names).removeprefix(".")
    if where.startswith("["):  # an item of the file's own list: its id stands first, apart from the path inside
        own, _, inside = where[1:].partition("]")
        where = ": ".join(part for part in (own, inside.removeprefix(".")) if part)
    return ConfigError(path, line, where, reason)


def _walk(node: yaml.Node | None, location: tuple[int | str, ...]) -> Iterator[tuple[int | str, yaml.Node | None]]:
    """Each step of a pydantic location with the node it leads to; None once it has left the file (a missing field).

    Pydantic also names the branch of a union that it took; such a step leads nowhere and is passed over.
    """
    for place, step in enumerate(location, start=1):
        inside = place < len(location) and isinstance(node, yaml.MappingNode)
        if inside and isinstance(node, yaml.MappingNode) and all(key.value != step for key, _ in node.value):
            continue
        if isinstance(step, int) and isinstance(node, yaml.SequenceNode):
            node = node.value[step]
        elif isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == step), None)
        else:
            node = None
        yield step, node


def _id_of(node: yaml.Node | None) -> str | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((str(value.value) for key, value in node.value if key.value == "id" and isinstance(value, yaml.ScalarNode)), None)
