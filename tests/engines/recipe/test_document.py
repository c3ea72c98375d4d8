"""YAML as recipes use it."""

from pathlib import Path

import pytest

from engines.recipe.document import parse_document, parse_value, read_document, write_document
from engines.recipe.errors import InvalidRecipeError, RecipeError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("2e-4", 2e-4),
        ("on", "on"),
        ("no", "no"),
        ("1_000", 1000),
        ("0.5", 0.5),
        (".5", 0.5),
        ("true", True),
        ("null", None),
        ("", None),
        ("'1'", "1"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("[1, a]", [1, "a"]),
        ("{a: {b: -3}}", {"a": {"b": -3}}),
        ("0x10", "0x10"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    "value",
    ["1e5", "089", "56e7123", ".5", "-1.", "+7", "1_000", "0x10", "1:30", "on", "~", ".inf", "a\x7f\u2028b", 1e-5, 7, True, None, [1.5, {"é": []}]],
)  # fmt: skip
def test_what_is_written_is_read_back_as_the_same(value: object) -> None:
    assert parse_document(write_document({"key": value}), "x").data == {"key": value}


def test_every_key_has_its_line() -> None:
    document = parse_document("a: 1\nb:\n  c: [1,\n    2]\n", "x")

    assert document.lines["a",] == 1
    assert document.lines["b", "c"] == 3
    assert document.lines["b", "c", 1] == 4


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1", 2, "not YAML"),
        ("a: 1\na: 2", 2, "stands twice"),
        ("a: !!python/object:os.system x", 1, "not allowed"),
        ("&x [*x]", 1, "expand without end"),
        ("", None, "is empty"),
        ("? [a]\n: b", 1, "plain text"),
        ("[" * 200_000, 1, "nested deeper"),
        ("- " * 20_000, 1, "nested deeper"),
        ("- &a " + "[" * 30 + "]" * 30 + "\n- " + "[" * 30 + "*a" + "]" * 30, 1, "expand without end"),
    ],
)
def test_bad_yaml_is_refused_with_its_line(text: str, line: int | None, words: str) -> None:
    with pytest.raises(InvalidRecipeError, match=words) as caught:
        parse_document(text, "r.yaml")

    assert caught.value.problems[0].line == line


def test_aliases_cannot_blow_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]

    with pytest.raises(InvalidRecipeError, match="expand without end"):
        parse_document("\n".join(lines), "bomb.yaml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x7fELF\0\0", "binary"),
        (b"a: 1\nb: \xff\xfe\n", "x.yaml:2: byte 8 is not UTF-8"),
        (b"a" * (1 << 20) + b"bc", "larger than 1 MiB"),
    ],
)
def test_files_that_are_no_recipes_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)

    with pytest.raises(RecipeError, match=words):
        read_document(path)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        read_document(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_document(tmp_path)


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(RecipeError, match="larger than"):
        read_document(Path("/dev/zero"))
