"""The cockpit's own themes. Their colours stay apart for every kind of colour vision, and more so in those made for one kind.

`tests/cockpit/test_themes.py` sees them as dichromats do (Machado, Oliveira and Fernandes 2009) and measures how far
apart they stay, and how well they stand out from the background.
"""

from typing import Any

from textual.theme import Theme

ROLES = ("primary", "secondary", "accent", "success", "warning", "error")

_ON_DARK = {"foreground": "#d6dbe0", "background": "#101418", "surface": "#151a20", "panel": "#1e252d"}
_ON_LIGHT = {"foreground": "#1d2329", "background": "#fbfbf9", "surface": "#f2f2ee", "panel": "#e4e5e0"}


def _theme(name: str, *colours: str, dark: bool = True) -> Theme:
    ground = _ON_DARK if dark else _ON_LIGHT
    footer = {"footer-key-foreground": colours[0], "footer-background": ground["panel"]}
    named: dict[str, Any] = ground | dict(zip(ROLES, colours, strict=True))
    return Theme(name=name, dark=dark, variables=footer, **named)


DARK = _theme("tunedeck", "#7fade3", "#c578a7", "#e59e00", "#35c492", "#f6e848", "#eb743b")
LIGHT = _theme("tunedeck-light", "#5b6bae", "#983f76", "#ac5107", "#195c42", "#836e3e", "#910a00", dark=False)
OURS = (
    DARK,
    LIGHT,
    _theme("tunedeck-red-green", "#64bcf3", "#c9709f", "#eda100", "#44cb8c", "#fffc64", "#da7033"),
    _theme("tunedeck-red-green-light", "#026ead", "#7b2769", "#a85600", "#317864", "#737343", "#8b1100", dark=False),
    _theme("tunedeck-blue-yellow", "#86a8d9", "#b776a6", "#eca006", "#42d3a8", "#eed634", "#e36c1d"),
    _theme("tunedeck-blue-yellow-light", "#576296", "#94427d", "#b15c00", "#15805e", "#8a700b", "#cc3f10", dark=False),
)  # fmt: skip
"""For everybody, for those who tell red from green badly (protanopia, deuteranopia), and blue from yellow (tritanopia)."""

NO_COLOR = "ansi-dark"
"""Textual's own: it leaves every colour to the terminal, and only then does Textual honour NO_COLOR fully."""
