"""Long lines in rows."""

from rich.cells import cell_len

from cockpit.widgets.text_view import HANG, Line, wrap


def rows(line: Line, width: int) -> list[str]:
    return ["".join(text for text, _ in row) for row in wrap(line, width)]


def test_continuation_rows_keep_the_indent_of_their_line() -> None:
    assert rows([("  one two three", "")], 10) == ["  one two ", "  three"]
    assert rows([("one two three", "")], 10) == ["one two ", "three"]


def test_a_quotation_keeps_its_bar_and_the_bar_its_paint() -> None:
    found = wrap([("  │ ", "muted"), ("one two three", "bad")], 12)
    assert found == [[("  │ ", "muted"), ("one two ", "bad")], [("  │ ", "muted"), ("three", "bad")]]


def test_a_line_may_say_where_its_continuation_rows_begin() -> None:
    line = [("10:30 ", "muted"), HANG, ("one  two three", "")]
    assert rows(line, 15) == ["10:30 one  two ", "      three"]
    assert wrap(line, 80) == [[("10:30 ", "muted"), ("one  two three", "")]]


def test_a_path_is_broken_after_a_slash() -> None:
    found = rows([("/home/somebody/recipes/sweep.yaml:3: jobs", "")], 24)
    assert found == ["/home/somebody/recipes/", "sweep.yaml:3: jobs"]


def test_no_row_is_wider_than_its_room_and_nothing_is_lost() -> None:
    for text in ("    " + "x" * 50, " │ " + "長い行" * 9, " " * 30 + "one two", "a/" * 40):
        for width in (1, 2, 7, 20):
            found = rows([(text, "")], width)
            assert all(cell_len(row) <= max(width, 2) for row in found)
            kept = "".join(found).replace(" ", "").replace("│", "")
            assert kept == text.replace(" ", "").replace("│", "")
