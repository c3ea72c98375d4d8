"""Copies text to the person's clipboard, over SSH and inside tmux, and always to a file: a terminal may refuse in silence.

The terminal is asked by OSC 52. What is sent is capped, for terminals drop what is longer than they take. Inside tmux its
own buffer is set, which reaches the outer terminal by `load-buffer -w` (tmux 3.2); where that fails, OSC 52 is passed
through it.
"""

import base64
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.plain_text import plain_line

if TYPE_CHECKING:
    from cockpit.app import Cockpit

MOST_ENCODED_BYTES = 74_994
"""In base64: what xterm and hterm take at most, and what k9s sends."""

_TMUX_SECONDS = 2.0


def copy(app: "Cockpit", text: str, what: str) -> None:
    """Copies a text that is called `what`, and tells the person how that went."""
    said = to_terminal(app, text, what)
    if app.read_only:
        app.notify(f"{said} No file was written: this cockpit only looks.", timeout=5, markup=False)
        return
    try:
        path = to_file(app.home / "exports", text, what)
    except OSError as error:
        why = f"{said} It could not be written to a file: {error.strerror}."
        app.notify(plain_line(why, 300), severity="warning", timeout=8, markup=False)
        return
    app.notify(plain_line(f"{said} Also in {path}", 300), timeout=5, markup=False)


def to_terminal(app: "Cockpit", text: str, what: str, environ: Mapping[str, str] = os.environ) -> str:
    """Sends the text, or as much of it as terminals take. Returns what to say of it."""
    sent, is_whole = capped(text)
    if environ.get("TMUX"):
        if not _to_tmux(sent, environ) and app._driver is not None:
            app._driver.write(passed_through(osc_52(sent)))
    else:
        app.copy_to_clipboard(sent)
    return f"The {what} was copied." if is_whole else f"The {what} is long: its beginning was copied."


def capped(text: str) -> tuple[str, bool]:
    """As much of the text as may be sent, and whether that is all. No character is cut through."""
    raw = text.encode("utf-8", "replace")
    most = MOST_ENCODED_BYTES // 4 * 3
    return raw[:most].decode("utf-8", "ignore"), len(raw) <= most


def osc_52(text: str) -> str:
    return f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"


def passed_through(sequence: str) -> str:
    """For the terminal around tmux, which takes it where `allow-passthrough` is on."""
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}\x1b\\"


def to_file(folder: Path, text: str, what: str) -> Path:
    """Writes the whole text to a new file. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{what}"
    number = 0
    while True:
        path = folder / f"{stem}{f'-{number}' if number else ''}.md"
        try:
            with path.open("x", encoding="utf-8", errors="replace") as file:
                file.write(text)
        except FileExistsError:
            number += 1
            continue
        return path


def _to_tmux(text: str, environ: Mapping[str, str]) -> bool:
    command = ["tmux", "load-buffer", "-w", "-"]
    try:
        done = subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=_TMUX_SECONDS, env=dict(environ)
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
