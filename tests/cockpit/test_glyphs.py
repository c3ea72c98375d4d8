import subprocess
import sys

import pytest

from cockpit.glyphs import STATUS_GLYPHS, ascii_only, progress_bar, to_ascii
from store.schema import Status


def test_every_status_has_its_own_shape_in_both_alphabets():
    assert set(STATUS_GLYPHS) >= set(Status)
    assert len(set(STATUS_GLYPHS.values())) == len(STATUS_GLYPHS)
    assert len({to_ascii(glyph) for glyph in STATUS_GLYPHS.values()}) == len(STATUS_GLYPHS)


@pytest.mark.parametrize(
    ("fraction", "bar"), [(0, "    "), (0.5, "██  "), (1, "████"), (0.3, "█▎  "), (7, "████")]
)
def test_a_bar_is_exact_to_an_eighth(fraction, bar):
    assert progress_bar(fraction, 4) == bar


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "C"}, True),
        ({"LC_ALL": "en_US.ISO-8859-1", "LANG": "de_DE.UTF-8"}, True),
        ({"TUNEDECK_ASCII": "1"}, True),
        ({"TUNEDECK_ASCII": "0", "LANG": "C"}, False),
    ],
)
def test_ascii_is_chosen_by_the_locale_or_by_hand(environment, expected):
    assert ascii_only(environment) is expected


def test_a_braille_cell_keeps_its_upper_and_lower_half():
    assert [to_ascii(cell) for cell in "\u2801\u2840\u28ff\u2800"] == ["'", ".", ":", " "]


def test_nothing_outside_the_tui_loads_textual():
    modules = [
        "glyphs",
        "figures",
        "plain_text",
        "scales",
        "braille",
        "curves",
        "comparison",
        "control",
        "library",
        "submission",
    ]
    program = (
        f"import sys, {', '.join(f'cockpit.{name}' for name in modules)}; assert 'textual' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
