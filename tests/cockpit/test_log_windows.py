"""Windows into logs, and searching them, against logs that are read whole."""

import os
import random
import time
import tracemalloc
from pathlib import Path

import pytest

from cockpit import log_search
from cockpit.log_windows import AFTER, BEFORE, BLOCK, LONGEST, LogLine, read_window

GIB = 1 << 30


def walk(path: Path) -> list[LogLine]:
    """The whole log, window by window from its beginning."""
    lines: list[LogLine] = []
    place, size = 0, 1
    while place < size:
        window, size = read_window(path, place)
        new = [line for line in window if line.start >= place]
        lines += new
        place = new[-1].end
    return lines


def never(reached: int) -> bool:
    return True


@pytest.mark.parametrize("seed", range(3))
def test_the_same_lines_begin_at_the_same_places_wherever_one_comes_from(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    log = tmp_path / "worker.log"
    sizes = [draw.choice((0, 3, 70, 5000, BLOCK - 1, BLOCK, 2 * BLOCK + 7)) for _ in range(60)]
    log.write_bytes(b"".join(b"x" * size + b"\n" for size in sizes) + b"no end")

    lines = walk(log)
    assert [line.start for line in lines] == [0, *(line.end for line in lines[:-1])]
    assert lines[-1].end == log.stat().st_size and lines[-1].text == "no end"
    assert max(line.end - line.start for line in lines) <= 2 * BLOCK
    assert sum(size < BLOCK for size in sizes) <= len(lines) < 2 * len(sizes)
    for place in (draw.randrange(log.stat().st_size) for _ in range(20)):
        window, _ = read_window(log, place)
        assert set(window) <= set(lines)
        assert any(line.start <= place < line.end for line in window)
    end, _ = read_window(log, None)
    assert end == lines[-len(end) :]


def test_a_window_has_lines_on_both_sides_and_its_text_is_plain(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_bytes(b"".join(b"line %d\n" % i for i in range(10_000)))
    middle = log.read_bytes().index(b"line 5000\n")
    window, size = read_window(log, middle + 3)
    assert size == log.stat().st_size
    assert [line.text for line in window] == [f"line {i}" for i in range(5000 - BEFORE, 5000 + AFTER)]
    assert read_window(log, None)[0][-1].text == "line 9999"
    assert read_window(log, size + 5) == read_window(log, None)
    assert read_window(tmp_path / "none.log", 7) == ([], 0)


def test_progress_bars_escapes_and_lines_of_a_megabyte_become_short_plain_lines(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    bar = b"".join(b"\r%d%%" % i for i in range(100)) * 100
    log.write_bytes(
        b"\x1b[31mred\x1b[0m\x00\xff\n" + bar + b"\r\x1b[Kdone\r\n" + b"y" * (1 << 20) + b"\nend\n"
    )
    texts = [line.text for line in walk(log)]
    assert texts[:2] == ["red\ufffd\ufffd", "done"]
    assert texts[-1] == "end"
    long = texts[2:-1]
    assert all(text.startswith("y" * (LONGEST - 1) + "… (") and " in this line)" in text for text in long)
    assert len(long) <= 5


def sparse(path: Path, head: bytes, tail: bytes, size: int) -> None:
    with path.open("wb") as file:
        file.write(head)
        file.seek(size - len(tail))
        file.write(tail)


def test_the_dropped_middle_is_one_line_that_says_how_much(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    sparse(log, b"first\n" * 100, b"last\n" * 1000, GIB)
    lines, size = read_window(log, 0)
    assert size == GIB
    (hole,) = [line for line in lines if line.dropped]
    assert hole.text == "[1024 MiB of this log were dropped here]"
    assert hole in read_window(log, GIB // 2)[0]
    assert read_window(log, None)[0][-1].text == "last"
    nothing = tmp_path / "hole.log"
    sparse(nothing, b"", b"", 0)
    os.truncate(nothing, 1 << 20)
    assert [line.text for line in read_window(nothing, None)[0]] == ["[1 MiB of this log were dropped here]"]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """256 MiB of real lines, which is what a window must not notice."""
    log = tmp_path_factory.mktemp("large") / "worker.log"
    block = b"".join(b"step %07d loss 1.2345 tokens 123456\n" % i for i in range(1 << 15))
    with log.open("wb") as file:
        while file.tell() < 256 << 20:
            file.write(block)
        file.write(b"Traceback: at the very end\n")
    return log


def test_any_place_of_a_large_log_is_there_at_once_and_little_of_it_is_kept(large: Path) -> None:
    size = large.stat().st_size
    tracemalloc.start()
    times = []
    for place in (None, 0, size // 2, size - 1, size // 3):
        began = time.perf_counter()
        lines, _ = read_window(large, place)
        times.append(time.perf_counter() - began)
        assert lines
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert min(times) < 0.1 and peak < 4 << 20, (times, peak)


def test_a_search_finds_the_next_and_the_one_before_and_can_be_ended(large: Path) -> None:
    size = large.stat().st_size
    pattern = log_search.compile_pattern("^traceback:.*end$")
    found = log_search.find(large, pattern, 0, True, never)
    assert found == (size - len(b"Traceback: at the very end\n"), size)
    assert log_search.find(large, pattern, size, True, never) is None
    assert log_search.find(large, pattern, found[0], False, never) is None

    one = log_search.compile_pattern("step 0000100 ")
    first = log_search.find(large, one, 0, True, never)
    assert first is not None
    second = log_search.find(large, one, first[1], True, never)
    assert second is not None and second[0] > first[0]
    assert log_search.find(large, one, second[0], False, never) == first
    reached: list[int] = []
    assert log_search.find(large, pattern, 0, True, lambda to: reached.append(to) or len(reached) < 3) is None
    assert len(reached) == 3 and reached == sorted(reached)


def test_a_search_sees_matches_across_blocks_and_knows_where_lines_begin(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    edge = (1 << 20) - 3
    log.write_bytes(b"a" * (edge - 1) + b"\n" + b"needle here\n" + b"end\n")
    needle = log_search.compile_pattern("needle")
    assert log_search.find(log, needle, 0, True, never) == (edge, edge + 12)
    assert log_search.find(log, needle, log.stat().st_size, False, never) == (edge, edge + 12)
    # `le here` is no beginning of a line, though a block begins there.
    middle = log_search.compile_pattern("^dle")
    assert log_search.find(log, middle, 0, True, never) is None
    assert log_search.find(log, log_search.compile_pattern("Needle"), 0, True, never) is None
