"""Where a program, or a JSON object, stands in what a model wrote: the last fenced block, else further off."""

import ast
import json
import re
from dataclasses import dataclass
from typing import Any

from engines.suite.extraction import fenced
from engines.suite.extraction import said as spoken
from engines.suite.python_source import parse

_OPEN_FENCE = re.compile(r"(?ms)^[ \t]*```([\w+-]*)[ \t]*\n(.*)")
_PYTHON = ("python", "py", "python3", "")
_LONGEST = 100_000
"""Characters of an answer that are looked at."""
_LONGEST_PARSED = 30_000


@dataclass(frozen=True)
class Code:
    """A program, where it stood, and whether the prompt asked for it there."""

    text: str
    method: str
    asked_for: bool


def python_code(text: str, name: str = "") -> Code | None:
    """The last closed block of Python, else, leniently, an unclosed one or a bare text that is a program.

    `name`: what a program without a fence must define, lest any word be taken for a program.
    """
    said = spoken(text)[:_LONGEST]
    found = fenced(said, _PYTHON)
    if found is not None and found.text.strip():
        return Code(found.text, found.method, True)
    if (opened := _OPEN_FENCE.search(said)) and opened[1].lower() in _PYTHON and opened[2].strip():
        return Code(opened[2], "open_block", False)
    is_program = bool(name) and name in said and name in defined_names(said)
    return Code(said, "whole_text", False) if is_program else None


def json_object(text: str) -> tuple[Any, Code] | None:
    """The object of the last JSON block, else, leniently, the last object in braces anywhere; parsed, and as text."""
    said = spoken(text)[:_LONGEST]
    if (block := fenced(said, ("json", ""))) is not None:
        parsed = _parsed(block.text)
        return (parsed, Code(block.text.strip(), "json_block", True)) if isinstance(parsed, dict) else None
    for start in reversed([place for place, letter in enumerate(said) if letter == "{"][:200]):
        try:
            found, end = json.JSONDecoder().raw_decode(said, start)
        except (ValueError, RecursionError):
            continue
        if "input" in found or "output" in found:
            return found, Code(said[start:end], "bare_json", False)
    return None


def parsed_python(code: str) -> ast.Module | None:
    """The syntax tree, or None where it is no Python, or too long to be worth the time that odd nesting can take."""
    if len(code) > _LONGEST_PARSED:
        return None
    try:
        return parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def below(head: str, code: str) -> str:
    """A program below a head of imports and helpers; its `from __future__` lines must stay first."""
    lines = code.splitlines()
    future = [line for line in lines if line.startswith("from __future__ ")]
    rest = [line for line in lines if not line.startswith("from __future__ ")]
    return "\n".join([*future, head, *rest])


def depth_of(tree: ast.AST) -> int:
    """How many nodes stand above each other, counted without recursion."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def defined_names(code: str) -> set[str]:
    """Functions, classes and variables that a program defines at its top level."""
    tree = parsed_python(code)
    names: set[str] = set()
    for node in tree.body if tree else []:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
