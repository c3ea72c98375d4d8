import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.plain_text import plain_line, plain_lines


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;ZXZpbA==\x1b\\after", "after"),
        ("\x1bP1;2|payload\x1b\\after", "after"),
        ("\x9b31mred", "red"),
        ("10%\r50%\r90%", "90%"),
        ("windows line\r\n", "windows line"),
        ("a\tb", "a   b"),
        ("right\u202eto left", "rightto left"),
        ("nul\x00bell\x07", "nul\ufffdbell\ufffd"),
        ("漢字 ✓ é", "漢字 ✓ é"),
        ("[bold]markup[/]", "[bold]markup[/]"),
    ],
)
def test_a_line_is_what_a_harmless_terminal_would_leave(text, plain):
    assert plain_line(text) == plain


def test_a_long_line_is_cut_with_a_sign():
    assert plain_line("x" * 10_000_000, limit=10) == "x" * 9 + "…"


def test_lines_are_split_at_newlines_only():
    assert plain_lines("a\nb\x0cc\u2028d") == ["a", "b\ufffdc\ufffdd"]


@given(st.text())
def test_nothing_that_controls_a_terminal_survives(text):
    shown = plain_line(text)
    assert all(
        character >= " " and character != "\x7f" and not "\x80" <= character <= "\x9f" for character in shown
    )
