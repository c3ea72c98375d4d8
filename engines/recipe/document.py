"""YAML as recipes use it: the 1.2 core schema, with the line of every key.

Unlike YAML 1.1, `on` is a word and not a boolean, and `1e-4` is a number. Duplicate keys are errors. Aliases work,
but a document cannot blow up through them.
"""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engines.recipe.errors import InvalidRecipeError, Problem, RecipeError

MAX_BYTES = 1 << 20
MAX_NODES = 100_000
MAX_DEPTH = 50

KeyPath = tuple[Hashable, ...]


@dataclass(frozen=True)
class Document:
    """A parsed file: plain data, and the line (from 1) of each key by its path."""

    file: str
    text: str
    data: Any
    lines: dict[KeyPath, int]


def read_document(path: Path) -> Document:
    """Reads a recipe file. RecipeError says what is wrong with it."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)  # a pipe or a device has no size to ask for
    except FileNotFoundError:
        hint = "`tunedeck recipes` lists those that come with Tunedeck"
        raise RecipeError(f"{file}: there is no such file", hint=hint) from None
    except OSError as error:
        raise RecipeError(f"{file}: cannot be read: {error.strerror}", hint="give a YAML file") from error
    if len(raw) > MAX_BYTES:
        hint = "a recipe is a short YAML file"
        raise RecipeError(f"{file}: is larger than {MAX_BYTES >> 20} MiB", hint=hint)
    if b"\0" in raw:
        raise RecipeError(f"{file}: is a binary file", hint="a recipe is a text file in YAML")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        hint = "save the file as UTF-8"
        raise RecipeError(f"{file}:{line}: byte {error.start} is not UTF-8", hint=hint) from error
    return parse_document(text, file)


def parse_document(text: str, file: str) -> Document:
    """Parses YAML text; `file` is only its name in messages."""
    try:
        _check_depth(text, file)  # composing recurses in C, where too deep is a crash
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        what = " ".join(filter(None, (error.context, error.problem)))
        hint = "check the indentation, and quote text that holds `: ` or `#`"
        raise InvalidRecipeError(file, [Problem(line, "", f"is not YAML: {what}", hint)]) from error
    except yaml.YAMLError as error:
        raise InvalidRecipeError(file, [Problem(None, "", f"is not YAML: {error}")]) from error
    if node is None:
        raise InvalidRecipeError(file, [Problem(None, "", "is empty", "a recipe has `engine:` or `jobs:`")])
    reader = _Reader()
    data = reader.read(node, ())
    if reader.problems:
        raise InvalidRecipeError(file, reader.problems)
    return Document(file, text, data, reader.lines)


def _check_depth(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else None
            raise InvalidRecipeError(file, [Problem(line, "", f"is nested deeper than {MAX_DEPTH} levels")])


def parse_value(text: str) -> Any:
    """One value as YAML reads it: `--set key=VALUE`."""
    return parse_document(text, "--set").data if text.strip() else None


class _Reader:
    """Turns nodes into plain data and collects lines and problems on the way."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._count = 0

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH or id(node) in self._open:
            if self._count <= MAX_NODES + 1:
                self._complain(line, path, "its aliases expand without end", "write the values out")
            self._count = max(self._count, MAX_NODES + 1)
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(line, path, "a key must be plain text")
                continue
            key = str(key_node.value)
            if key in result:
                self._complain(line, (*path, key), "stands twice", "keep one of the two")
            self.lines[*path, key] = line
            result[key] = self.read(value_node, (*path, key))
        return result

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        tag = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if not tag.isalpha():  # those of YAML itself are plain words
            self._complain(node.start_mark.line + 1, path, f"tag `{tag}` is not allowed", "remove the tag")
        return node.value if node.style else _plain(str(node.value))

    def _complain(self, line: int, path: KeyPath, text: str, hint: str = "") -> None:
        self.problems.append(Problem(line, ".".join(map(str, path)), text, hint))


_INTEGER = re.compile(r"[-+]?[0-9]+(_[0-9]+)*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}


def _plain(text: str) -> Any:
    """An unquoted scalar by the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", "")) if len(text) < 400 else text
    return float(text) if _FLOAT.fullmatch(text) else text


def write_document(data: Any) -> str:
    """YAML that this module reads back as the same data: `'1e5'` stays text, whatever YAML 1.1 has to say about it."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.CSafeDumper):
    """Quotes the words that YAML 1.2 takes for numbers, beside those of 1.1."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(f"(?:{_INTEGER.pattern}|{_FLOAT.pattern})$"),
    list("-+.0123456789"),
)
