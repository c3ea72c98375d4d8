"""Walks through the cockpit, key by key: what each key is called, and what is seen after it and was not before."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from textual.screen import Screen

Seen = Any
"""A text on the screen, ("gone", a text), ("at", place of the cursor), ("scrolled", rows), or a function of the person."""


def happened(person: Any, seen: Seen) -> bool:
    if callable(seen):
        return bool(seen(person))
    if isinstance(seen, str):
        return seen in person.text
    kind, value = seen
    focused = person.app.screen.focused
    if kind == "gone":
        return value not in person.text
    if kind == "at":
        return value == (focused.highlighted if hasattr(focused, "highlighted") else focused.cursor)
    assert kind == "scrolled", kind
    return bool(value == focused.scroll_offset.y)


def names_of(screen: Screen[Any], key: str) -> list[str | None]:
    """The names of what a key may do here, that of the innermost first. What is Textual's own has none."""
    found = (bindings.key_to_bindings.get(key, ()) for _, bindings in screen._modal_binding_chain)
    return [binding.id for of_one in found for binding in of_one]


@pytest.fixture
def walk(visit: Callable[..., None]) -> Callable[..., None]:
    """Presses the keys of a walk one after the other, and waits for what is seen after each.

    A step is (name of the binding, key, what is seen). A name of "" is on the way only: its keys are not what is tested.
    """

    def run(
        steps: Sequence[tuple[str, Any, Seen]], size: tuple[int, int] = (100, 40), **options: Any
    ) -> None:
        async def go(person: Any) -> None:
            for name, keys, seen in steps:
                said = f"`{keys}` as {name or 'the way'}: {seen}"
                if name:
                    assert isinstance(keys, str), said
                    names = names_of(person.app.screen, keys)
                    is_textuals = name.startswith("textual.")
                    assert (names[:1] == [None]) if is_textuals else (name in names), (said, names)
                    assert set(names[: names.index(None if is_textuals else name)]) <= {None}, (said, names)
                    assert not happened(person, seen), f"{said}: was so before\n{person.text}"
                await person.press(*([keys] if isinstance(keys, str) else keys))
                await person.until(lambda seen=seen: happened(person, seen), said)

        visit(go, size, **options)

    return run
