"""Signs, columns and spans as one says them."""

import io

import pytest

from cockpit.plain.stream import SpokenStream, is_data
from cockpit.plain.words import counted, in_words, signs_in_words, spans_in_words


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run         /tmp/x", "run: /tmp/x"),
        ("a long beginning of a row  with  more", "a long beginning of a row, with, more"),
        ("  indented  as YAML", "  indented: as YAML"),
        ("\x1b[1;31mred\x1b[0m and \x1b]52;c;eA==\x07done", "red and done"),
        ("10%\r50%\r90%", "90%"),
        ("──────┬──────", ""),
        ("+-----+-----+", ""),
        ("|---|---|", ""),
        ("█▊  3%", "3%"),
        ("⠁⠂⣿ loss", "loss"),
        ("--- test-3", "test-3"),
        ("gain +3.9..+10.1, 17.1%-24.2%, +7.0 pp", "gain +3.9 to +10.1, 17.1% to 24.2%, +7.0 points"),
        ("took 1m 05s of 2h 01m", "took 1 minute 5 seconds of 2 hours 1 minute"),
        ("a → b ± 2 … “so”", 'a to b plus or minus 2 ... "so"'),
        ("hint: `tunedeck up` starts one", 'hint: "tunedeck up" starts one'),
        ("✓✓✓ Grüße, 漢字, עברית", "(check mark) Grüße, 漢字, עברית"),
        ("\u202eright to left\u202c", "right to left"),
        ("a\u00a0b\u3000c", "a b c"),
        ("half \ud800 a character", "half ? a character"),
        ("-1.5", "-1.5"),
        ("...", ""),
        ("", ""),
    ],
)
def test_a_line_is_said_in_words(line: str, said: str) -> None:
    assert in_words(line).strip() == said.strip()


def test_where_only_ascii_can_be_shown_letters_become_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEDECK_ASCII", "1")
    assert signs_in_words("Grüße, 漢字, é\u0301") == "Gru?e, ??, e"


def test_spans_and_counts_have_their_nouns() -> None:
    assert spans_in_words("48s") == "48 seconds"
    assert spans_in_words("the 90s") == "the 90s"
    assert spans_in_words("2d 1h") == "2 days 1 hour"
    assert (counted(1, "job"), counted(0, "job")) == ("1 job", "0 jobs")


def test_a_stream_says_whole_lines_and_questions_at_once() -> None:
    target = io.StringIO()
    stream = SpokenStream(target)
    stream.write("half ")
    stream.flush()
    assert target.getvalue() == ""
    stream.write("a line\n\n──\nDelete these? [y/N]:")
    stream.flush()
    assert target.getvalue() == "half a line\nDelete these? [y/N]: "
    stream.write(b"b\xc3\xa9\n")
    stream.write("the end")
    stream.finish()
    assert target.getvalue().endswith("bé\nthe end\n")
    assert stream.said == ["half a line", "bé", "the end"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_data_keeps_its_spaces_and_loses_its_escapes_on_a_terminal() -> None:
    target = Terminal()
    SpokenStream(target, data=True).write('  {"a  b": 1}\x1b[31m\n')
    assert target.getvalue() == '  {"a  b": 1}\n'
    long = '"' + "a" * (1 << 21) + '"\n'
    SpokenStream(target := Terminal(), data=True).write(long)
    assert target.getvalue() == long


def test_data_goes_into_a_pipe_as_it_is() -> None:
    data = 'name,“a” → b\n\n  \n"→ │ ±",1\nlast'
    stream = SpokenStream(target := io.StringIO(), data=True)
    stream.write(data)
    stream.finish()
    assert target.getvalue() == data + "\n"
    SpokenStream(target := io.StringIO()).write("“a” → b\n")
    assert target.getvalue() == '"a" to b\n'


def test_what_is_data_is_told_by_command_and_options() -> None:
    assert is_data("jobs", ["--json"]) and is_data("recipes", ["show", "x"]) and is_data("schema", [])
    assert not is_data("jobs", []) and not is_data("recipes", ["list"])
