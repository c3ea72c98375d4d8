"""Names, logs, errors and completions that try to take over the terminal are shown harmlessly on every screen."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from store.database import Database

ATTACKS = (
    "\x1b]0;owned\x07", "\x1b]52;c;cm0gLXJmIC8=\x07", "\x1b[2J\x1b[H", "\x1b[31mred", "\x9b31m", "\x1bP1$r\x1b\\", "\x1b]8;;http://evil\x07link\x1b]8;;\x07",
    "[bold red]markup[/]", "[@click=app.quit]quit[/]", "[/]", "[", "\\[", "\u202e\u2066drawkcab", "\u200b\ufeff\u2060", "\x00NUL", "\x08\x08back",
    "\r\rover", "a\tb\vc\fd", "\ud800", "\ufffe", "e\u0301" * 40, "漢字" * 30, "👩\u200d👩\u200d👧", "\x85\u2028\u2029lines", "$(rm -rf /)", "%s%n{0}{x}", "\x7f\x80\x9f", "A" * 3000,
)  # fmt: skip
"""Escapes, markup, direction changes, invisible and broken characters, and lengths."""

_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\u200b-\u200f\ufeff\ud800-\udfff]"
)
_PAINTING = re.compile(r"\x1b\[\d+;\d+H|\x1b\[[\d;]*m|\n|[^\x00-\x1f\x7f-\x9f]+")


def mixture(chance: random.Random, pieces: int = 4) -> str:
    """A text of attacks, as a database can hold it."""
    text = "x".join(chance.choice(ATTACKS) for _ in range(pieces))
    return text.encode("utf-8", "replace").decode()


def assert_harmless(person: Any) -> None:
    """What is shown has no control in it, and what would be sent paints and does nothing else."""
    assert not _CONTROL.search(person.text.replace("\n", "")), repr(
        _CONTROL.search(person.text.replace("\n", ""))
    )
    sent = person.app.screen._compositor.render_update(full=True).render_segments(person.app.console)
    assert _PAINTING.sub("", sent) == ""


def fill(database: Database, bench: Any, chance: random.Random) -> None:
    """Two evaluations of which every text is an attack."""
    first, second = bench.enqueue(
        *(f"{number} {mixture(chance)}" for number in range(2)), experiment=mixture(chance), engine="eval"
    )
    for job in (first, second):
        bench.start()
        run_dir = database.run_dir(job)
        run_dir.mkdir(parents=True, exist_ok=True)
        log = (
            "\n".join(mixture(chance) for _ in range(60)).encode()
            + b"\xff\xfe\xc3("
            + b"L" * 1_000_000
            + b"\x1b[2J\n"
        )
        (run_dir / "worker.log").write_bytes(log)
        bench.record(job, {"kind": "metrics", "step": 1, "values": {mixture(chance): 1.0, "loss": 2.0}})
        bench.record(job, {"kind": "message", "level": "warning", "text": mixture(chance)})
        bench.record(job, {"kind": "artifact", "name": mixture(chance, 1), "path": mixture(chance, 1)})
        texts = {name: mixture(chance) for name in ("question", "gold", "completion", "extracted", "method")}
        bench.score(job, [job == first, True, False, True], **texts)
        bench.record(job, {"kind": "progress", "done": 1, "total": 2, "unit": mixture(chance, 1)})
        bench.finish(job, reason=mixture(chance))


@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("size", [(80, 24), pytest.param((200, 50), marks=pytest.mark.slow)])
def test_every_screen_shows_malicious_text_harmlessly(
    database: Database, bench: Any, visit: Callable[..., None], seed: int, size: tuple[int, int]
) -> None:
    fill(database, bench, random.Random(seed))

    async def scenario(person: Any) -> None:
        await person.sees("succeeded", "50")
        assert_harmless(person)
        await person.press("enter")
        for key in "12345":
            await person.press(key)
            await person.pilot.pause(0.05)
            assert_harmless(person)
        await person.press("escape", "p")
        await person.until(lambda: type(person.app.screen).__name__ == "ReportScreen", "the report")
        await person.sees("75.0%")
        for key in ("t", "end", "ctrl+end"):
            await person.press(key)
            assert_harmless(person)
        await person.press("escape", "left_parenthesis")
        await person.sees("THE PAST")
        assert_harmless(person)
        await person.press("enter")
        for key in "12345":
            await person.press(key)
            await person.pilot.pause(0.05)
            assert_harmless(person)
        await person.press("escape", "at")
        person.app.screen.query_one("#answer").value = ATTACKS[0] + "[/]" + "9" * 3000
        await person.press("enter")
        await person.sees("is no moment")
        assert_harmless(person)
        await person.press("exclamation_mark")
        await person.no_longer_sees("THE PAST")
        await person.press("v")
        await person.until(lambda: type(person.app.screen).__name__ == "CompareScreen", "the comparison")
        await person.until(lambda: "%" in person.text, "the table")
        assert_harmless(person)
        await person.press("enter")
        await person.until(lambda: type(person.app.screen).__name__ == "ExamplesScreen", "the examples")
        for key in ("2", "right", "1", "3", "4"):
            await person.press(key)
            await person.pilot.pause(0.05)
            assert_harmless(person)

    visit(scenario, size)


COMMANDS = ("where", "jobs", "show 1", "why 2", "log 1", "logs 2 -n 5", "examples 1", "examples 1 --versus 2", "metrics 1", "curve 1",
            "compare 1 2", "analyze 1 2", "report 1", "news", "repeat", "jobs --json")  # fmt: skip


def test_the_plain_prompt_says_malicious_text_harmlessly(database: Database, bench: Any) -> None:
    fill(database, bench, random.Random(1))
    typed = "".join(f"{command}\n" for command in (*COMMANDS, *ATTACKS))
    said = subprocess.run(
        [sys.executable, "-P", "-m", "cockpit", "--plain", "--read-only"],
        input=b"show \xff\xfe\n" + typed.encode("utf-8", "surrogatepass"),
        capture_output=True,
        env=os.environ | {"TUNEDECK_HOME": str(database.home), "PYTHONIOENCODING": "utf-8:strict"},
        timeout=120,
        check=True,
    )
    text = said.stdout.decode()
    assert not said.stderr
    assert "strict 75.0%" in text
    assert "Error:" not in text.replace("ValueError: embedded null byte", "")
    found = _CONTROL.search(text.replace("\n", ""))
    assert not found, (found, text[max(found.start() - 100, 0) : found.end() + 100])
