"""Copying: what goes down the line, and what tmux is told."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from cockpit.clipboard import MOST_ENCODED_BYTES, capped, osc_52, passed_through, to_file, to_terminal


class Line:
    """The part of an app that copying writes to."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self._driver = self

    def write(self, data: str) -> None:
        self.sent.append(data)

    def copy_to_clipboard(self, text: str) -> None:
        self.sent.append(osc_52(text))


def test_what_is_too_long_is_cut_between_characters_and_said_so() -> None:
    text = "ü" * 60_000
    sent, is_whole = capped(text)

    assert not is_whole and text.startswith(sent)
    assert MOST_ENCODED_BYTES - 8 < len(base64.b64encode(sent.encode())) <= MOST_ENCODED_BYTES
    assert capped("short") == ("short", True)
    line: Any = Line()
    assert to_terminal(line, text, "table", {}) == "The table is long: its beginning was copied."
    assert len(line.sent[0]) < MOST_ENCODED_BYTES + 10


def test_outside_of_tmux_the_terminal_is_asked_by_osc_52() -> None:
    line: Any = Line()

    assert to_terminal(line, "a | b", "table", {}) == "The table was copied."
    assert line.sent == ["\x1b]52;c;YSB8IGI=\x07"]


def a_tmux(folder: Path, code: int) -> dict[str, str]:
    """A program in tmux's place that keeps what it is given."""
    program = folder / "tmux"
    program.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\ncat > {folder}/buffer\nexit {code}\n')
    program.chmod(0o755)
    return {"TMUX": f"{folder}/default,1,0", "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_inside_tmux_its_buffer_is_set_and_nothing_else_is_sent(tmp_path: Path) -> None:
    line: Any = Line()
    to_terminal(line, "grüße", "table", a_tmux(tmp_path, 0))

    assert (tmp_path / "asked").read_text() == "load-buffer -w -\n"
    assert (tmp_path / "buffer").read_text() == "grüße"
    assert line.sent == []


def test_a_tmux_that_cannot_is_passed_through(tmp_path: Path) -> None:
    line: Any = Line()
    to_terminal(line, "x", "table", a_tmux(tmp_path, 1))

    assert line.sent == [passed_through(osc_52("x"))] == ["\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\"]


def test_every_copy_is_a_file_of_its_own(tmp_path: Path) -> None:
    first, second = (to_file(tmp_path / "exports", text, "table") for text in ("a", "b"))

    assert first != second
    assert (first.read_text(), second.read_text()) == ("a", "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="exists"):
        to_file(tmp_path / "file", "c", "table")
