import os
from datetime import datetime, timedelta

import pytest

from cockpit.log_times import size_at
from store import past_files

START = datetime(2026, 11, 20, 3, 0, 0)


@pytest.fixture
def log(tmp_path):
    """A line a second for an hour, every second of them without a time."""
    path = tmp_path / "worker.log"
    lines = [
        f"{START + timedelta(seconds=n)},123 INFO step {n}" if n % 2 == 0 else f"loss at {n}"
        for n in range(3600)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("second", [0, 1, 2, 777, 1800, 3500])
@pytest.mark.parametrize("block", [256, 4096, 1 << 18])
def test_a_log_is_known_up_to_its_last_line_with_a_time_by_then(log, second, block, monkeypatch):
    monkeypatch.setattr(past_files, "BLOCK", block)
    known, unknown = size_at(log, (START + timedelta(seconds=second)).timestamp() + 0.5)
    shown = log.read_text()[:known].splitlines()
    assert shown[-1].endswith(f"step {second // 2 * 2}")
    assert "without times" in unknown


def test_a_log_that_has_not_changed_since_is_whole(log):
    os.utime(log, (1_000_000, 1_000_000))
    assert size_at(log, 1_000_001.0) == (log.stat().st_size, "")


def test_nothing_is_known_of_lines_without_times(tmp_path):
    path = tmp_path / "worker.log"
    path.write_text("loss 1\nloss 2\n")
    known, unknown = size_at(path, 1_000_000.0)
    assert known == 0
    assert "not known" in unknown


def test_no_log_is_an_empty_one(tmp_path):
    assert size_at(tmp_path / "worker.log", 1.0) == (0, "")


def test_a_zone_in_a_line_counts(tmp_path):
    path = tmp_path / "worker.log"
    path.write_text("[2026-11-20T03:00:00Z] one\n[2026-11-20T03:00:00-05:00] two\n")
    assert size_at(path, 1795140000.0 + 3 * 3600)[0] > 0
    lines = path.read_text()[
        : size_at(path, datetime.fromisoformat("2026-11-20T04:00:00+00:00").timestamp())[0]
    ]
    assert lines == "[2026-11-20T03:00:00Z] one\n"
