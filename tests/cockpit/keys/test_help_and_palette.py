"""The help screen and the command palette: generated from the bindings, so that both say and do what the keys do."""

import json
import re
from collections.abc import Sequence
from typing import Any

from textual.screen import Screen
from textual.widgets import OptionList, Static

from cockpit.palette import MOVES, KeyCommands

TOUR: Sequence[tuple[str, Sequence[tuple[Any, str]]]] = (
    ("queue", [((), "demo: full")]),
    ("curves", [("enter", "5 Results"), ("1", "no metrics yet")]),
    ("log", [("enter", "5 Results"), ("2", "a line of the log")]),
    ("samples", [("enter", "5 Results"), ("6", "completion 1 of 1")]),
    ("compare", [("v", "▲ better")]),
    ("examples", [("v", "▲ better"), ("enter", "1 of 12")]),
    ("differences", [("v", "▲ better"), ("d", "What differs:")]),
    ("overlay", [("v", "▲ better"), ("c", "training curves")]),
    ("report", [("p", "Accuracy")]),
    ("recipes", [("n", "smoke/command")]),
    ("form", [("n", "smoke/command"), ("e", "enter edits")]),
    ("groups", [("S", "No groups")]),
    ("machine", [("M", "CPU load")]),
)
"""Every screen on which `?` works: all but small questions, and while one types."""


def bound(screen: Screen[Any]) -> set[tuple[str, str]]:
    """What each key does here, in the words of its binding."""
    found = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        assert binding.description, f"{binding.key} does something and says not what"
        found.add(
            (
                binding.key_display or screen.app.get_key_display(binding),
                binding.tooltip or binding.description,
            )
        )
    return found


def listed(screen: Screen[Any]) -> set[tuple[str, str]]:
    """The keys and words of the help screen, one pair a key."""
    lines = "\n".join(str(one.content) for one in screen.query(Static))
    # What is too long goes on below its beginning.
    whole = re.sub(r"\n {3,}", " ", lines).splitlines()
    pairs = (line.split("   ", 1) for line in whole if "   " in line)
    return {(key, words.strip()) for keys, words in pairs for key in keys.split()}


def commands(screen: Screen[Any]) -> dict[tuple[Any, str], str]:
    """What the palette is to offer: everything of ours but movement, with the words for it."""
    found = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.id and binding.description not in MOVES:
            said = f"{binding.description}: {binding.tooltip}" if binding.tooltip else binding.description
            found[active.node, binding.action] = said
    return found


def test_help_and_palette_have_every_key_of_every_screen_and_no_two_are_told_alike(
    bench: Any, visit: Any
) -> None:
    a_comparison(bench)
    seen = {}

    async def tour(person: Any) -> None:
        for name, way in TOUR:
            for keys, sign in way:
                await person.press(*([keys] if isinstance(keys, str) else keys))
                await person.sees(sign)
            screen = person.app.screen
            expected, offered = bound(screen), commands(screen)
            assert len(set(offered.values())) == len(offered), f"{name}: two commands have the same words"
            assert sorted(title for title, _, _ in KeyCommands(screen)._commands()) == sorted(
                offered.values()
            )
            await person.press("question_mark")
            await person.sees("esc closes")
            assert listed(person.app.screen) == expected, name
            seen[name] = len(expected)
            await person.press("escape")
            while len(person.app.screen_stack) > 2:
                await person.press("escape")
        assert len(person.app.screen_stack) == 2

    visit(tour)
    assert min(seen.values()) > 10 and len(seen) == len(TOUR)


def test_the_palette_does_what_the_key_does(bench: Any, visit: Any) -> None:
    a_comparison(bench)

    async def by_name(person: Any, words: str, sign: str) -> None:
        await person.press("ctrl+p", *words)
        await person.until(lambda: chosen(person).startswith(words), f"`{words}` as the first hit")
        await person.press("enter")
        await person.sees(sign)

    async def look(person: Any) -> None:
        await person.sees("demo: full")
        await by_name(person, "Experiments", "▸ demo")
        await by_name(person, "Unfold", "▾ demo")
        await by_name(person, "Compare", "▲ better")
        await person.press("enter")
        await person.sees("1 of 12")
        await by_name(person, "Only the baseline is right", "No example of this case.")
        await person.press("escape", "escape")
        await person.press("e", "enter")
        await by_name(person, "Log", "a line of the log")
        await by_name(person, "Wrap", "cut from column 1")

    visit(look)


def chosen(person: Any) -> str:
    """The command of the palette that enter would run."""
    hits = person.app.screen.query(OptionList)
    if not hits or hits.first().highlighted is None:
        return ""
    return str(hits.first().get_option_at_index(hits.first().highlighted).prompt)


def a_comparison(bench: Any) -> None:
    bench.enqueue("base", "full", engine="eval")
    for every in (4, 1):
        number = bench.start()
        bench.score(number, [index % every == 0 for index in range(16)])
        bench.finish(number)
        debug = bench.database.run_dir(number) / "debug"
        debug.mkdir(parents=True)
        (debug.parent / "worker.log").write_text("a line of the log\n")
        (debug / "rollouts_1.jsonl").write_text(json.dumps({"step": 1, "completion": "said"}) + "\n")
