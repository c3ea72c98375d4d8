"""The cockpit's own themes: Okabe and Ito's colours, which stay apart for colour-blind eyes."""

from textual.theme import Theme

DARK = Theme(
    name="tunedeck",
    primary="#56b4e9",
    secondary="#cc79a7",
    accent="#e69f00",
    success="#2fbf94",
    warning="#e6b422",
    error="#ee7733",
    foreground="#d6dbe0",
    background="#101418",
    surface="#151a20",
    panel="#1e252d",
    dark=True,
    variables={"footer-key-foreground": "#56b4e9", "footer-background": "#1e252d"},
)

LIGHT = Theme(
    name="tunedeck-light",
    primary="#0072b2",
    secondary="#a3477f",
    accent="#b06000",
    success="#00785a",
    warning="#8a6d00",
    error="#c04000",
    foreground="#1d2329",
    background="#fbfbf9",
    surface="#f2f2ee",
    panel="#e4e5e0",
    dark=False,
    variables={"footer-key-foreground": "#0072b2", "footer-background": "#e4e5e0"},
)

NO_COLOR = "ansi-dark"
"""Textual's own: it leaves every colour to the terminal, and only then does Textual honour NO_COLOR fully."""
