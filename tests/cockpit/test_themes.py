"""The colours that mean something, seen with every kind of colour vision."""

import math
from itertools import combinations
from typing import Any

import pytest
from textual.theme import Theme
from textual.widgets import Input

from cockpit import themes

VISIONS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), at severity 1."""
TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
WHITE = (0.95047, 1.0, 1.08883)
Triple = tuple[float, float, float]

APART = 17.5
"""CIE 1976 colour difference; 2.3 is just noticeable."""
CONTRAST = 4.5
"""What WCAG 2 asks of text (AA)."""
MADE_FOR = {
    "red-green": (("normal", "protanopia", "deuteranopia"), 20),
    "blue-yellow": (("normal", "tritanopia"), 20),
}


def times(matrix: tuple[Triple, ...], colour: Triple) -> Triple:
    return tuple(sum(a * b for a, b in zip(row, colour, strict=True)) for row in matrix)  # type: ignore[return-value]


def linear(text: str) -> Triple:
    parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)  # type: ignore[return-value]


def seen(text: str, vision: str) -> Triple:
    """Linear RGB as this vision sees the colour."""
    return tuple(min(max(part, 0.0), 1.0) for part in times(VISIONS[vision], linear(text)))  # type: ignore[return-value]


def lab(colour: Triple) -> Triple:
    scaled = [part / white for part, white in zip(times(TO_XYZ, colour), WHITE, strict=True)]
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in scaled)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def contrast(one: Triple, other: Triple) -> float:
    low, high = sorted(times(TO_XYZ, colour)[1] for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def closest(theme: Theme, vision: str) -> float:
    """How far the two meaning colours apart are that this vision confuses first; the text's own colour is one of them."""
    colours = [lab(seen(str(getattr(theme, role)), vision)) for role in (*themes.ROLES, "foreground")]
    return min(math.dist(one, other) for one, other in combinations(colours, 2))


def made_for(theme: Theme) -> tuple[tuple[str, ...], float]:
    """The visions that a theme is for, and how far apart its colours have to stay for them."""
    return next((found for kind, found in MADE_FOR.items() if kind in theme.name), (tuple(VISIONS), APART))


def test_the_measure_knows_what_red_and_green_are_to_a_dichromat() -> None:
    red, green = "#d62728", "#7f7f00"
    apart = {vision: math.dist(lab(seen(red, vision)), lab(seen(green, vision))) for vision in VISIONS}

    assert apart["deuteranopia"] < 20 < 70 < apart["normal"]


@pytest.mark.parametrize("theme", themes.OURS, ids=lambda theme: theme.name)
def test_no_two_colours_that_mean_something_look_alike_to_those_whom_the_theme_is_for(theme: Theme) -> None:
    visions, least = made_for(theme)

    assert {vision: closest(theme, vision) for vision in visions if closest(theme, vision) < least} == {}


@pytest.mark.parametrize("theme", themes.OURS, ids=lambda theme: theme.name)
@pytest.mark.parametrize("vision", VISIONS)
def test_every_colour_can_be_read_on_the_background(theme: Theme, vision: str) -> None:
    ground = seen(str(theme.background), vision)
    least = min(contrast(seen(str(getattr(theme, role)), vision), ground) for role in themes.ROLES)

    assert least >= (CONTRAST if vision in made_for(theme)[0] else 3)


def test_what_a_box_asks_for_can_be_read_in_every_theme(visit: Any) -> None:
    found = {}

    async def look(person: Any) -> None:
        await person.press("slash")
        box = person.app.screen.query_one("#filter", Input)
        for theme in themes.OURS:
            person.app.theme = theme.name
            await person.pilot.pause()
            style = box.get_component_rich_style("input--placeholder")
            front, back = (seen(one.triplet.hex, "normal") for one in (style.color, style.bgcolor))
            found[theme.name] = contrast(front, back)

    visit(look)
    assert len(set(found.values())) > 1
    assert min(found.values()) >= CONTRAST
