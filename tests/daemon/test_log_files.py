"""Logs that do not fill the disk: the daemon's own, and those of chatty jobs."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cockpit.log_file import blocks_from, tail_offset
from daemon import log_files
from daemon.log_files import HEAD_BYTES, LEAST_BYTES, punch, rotate_own
from store import paths, results
from store.database import Database

LINE = 64


def write_lines(path: Path, first: int, count: int) -> None:
    with path.open("ab") as file:
        file.write(b"".join(b"%063d\n" % number for number in range(first, first + count)))


@pytest.fixture
def long_log(tmp_path: Path) -> Path:
    """16 MiB of numbered lines, on a file system that has holes."""
    path = tmp_path / "worker.log"
    write_lines(path, 0, (16 << 20) // LINE)
    probe = os.open(tmp_path / "probe", os.O_RDWR | os.O_CREAT)
    os.write(probe, bytes(8192))
    try:
        log_files._fallocate(probe, 3, 0, 4096)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            pytest.skip("no holes on this file system")
        raise
    finally:
        os.close(probe)
    return path


def test_the_middle_of_a_long_log_goes_and_every_other_byte_keeps_its_place(long_log: Path) -> None:
    before = long_log.read_bytes()
    freed = punch(long_log, LEAST_BYTES)
    after = long_log.read_bytes()
    kept = LEAST_BYTES // 2

    assert freed >= (16 << 20) - HEAD_BYTES - kept - (1 << 17)
    assert len(after) == len(before)
    assert after[:HEAD_BYTES] == before[:HEAD_BYTES]
    assert after[-kept:] == before[-kept:]
    assert punch(long_log, LEAST_BYTES) == 0
    write_lines(long_log, 10**9, 2)
    assert long_log.read_bytes()[len(before) :].count(b"\n") == 2


def test_readers_pass_over_the_hole_and_say_so(long_log: Path) -> None:
    punch(long_log, LEAST_BYTES)
    shown = b"".join(block for _, block in blocks_from(long_log, 0))
    lines = shown.splitlines()
    [told] = [
        i for i, line in enumerate(lines) if line.startswith(b"[tunedeck: 13 MiB of this log were dropped")
    ]

    assert lines[told - 2] == b"%063d" % (HEAD_BYTES // LINE - 1)
    assert b"\0" not in shown
    assert lines[-1] == b"%063d" % ((16 << 20) // LINE - 1)
    whole = (16 << 20) // LINE - int(lines[told + 1])
    assert tail_offset(long_log, 3) == (16 << 20) - 3 * LINE
    assert tail_offset(long_log, 10**7) == (16 << 20) - whole * LINE


def test_a_follower_goes_on_from_where_it_was(long_log: Path) -> None:
    *_, (offset, _) = blocks_from(long_log, 0)
    punch(long_log, LEAST_BYTES)
    write_lines(long_log, 7, 1)

    assert list(blocks_from(long_log, offset)) == [(offset + LINE, b"%063d\n" % 7)]
    assert list(blocks_from(long_log, offset + LINE)) == []
    assert list(blocks_from(long_log.with_name("none"), 0)) == []


def test_a_chatty_job_does_not_fill_the_disk_and_is_told_so(
    database: Database, submit: Any, start_daemon: Any, until: Any, long_log: Path
) -> None:
    paths.config(database.home).write_text("logs: {worker: 4MiB}")
    job_id = submit("sh", "-c", f"cat {long_log}; sleep 1000")
    start_daemon()
    log = database.run_dir(job_id) / "worker.log"
    until(lambda: log.exists() and log.stat().st_size == 16 << 20 and log.stat().st_blocks * 512 < 5 << 20)
    until(lambda: results.newest_warning(database, job_id))

    assert "its first 1 MiB and its newest 2 MiB stay" in str(results.newest_warning(database, job_id))


def test_a_file_system_without_holes_keeps_the_log_whole_and_the_job_is_told(
    database: Database, submit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.jobs import get_job

    job_id = submit("true")
    database.run_dir(job_id).mkdir(parents=True)
    log = database.run_dir(job_id) / "worker.log"
    write_lines(log, 0, (5 << 20) // LINE)

    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(log_files, "_fallocate", refuse)
    for _ in range(2):
        log_files.trim_workers(database, [get_job(database, job_id)], LEAST_BYTES)
    [message] = results.list_messages(database, job_id)

    assert "cannot drop its middle" in message.text
    assert log.read_bytes().count(b"\n") == (5 << 20) // LINE


ROTATES = """
import os, sys
from pathlib import Path
from daemon.log_files import rotate_own
for number in range(6):
    os.write(1, b"x" * 100 + b"%d" % number)
    print(rotate_own(Path(sys.argv[1]), 50, 2), file=sys.stderr, flush=True)
"""


def test_the_daemon_begins_a_new_log_and_keeps_a_few_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    with path.open("ab") as file:
        subprocess.run([sys.executable, "-c", ROTATES, str(path)], stdout=file, stderr=file, check=True)

    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "daemon.log",
        "daemon.log.1",
        "daemon.log.2",
    ]
    assert path.read_text() == "True\n"
    assert path.with_name("daemon.log.1").read_text() == "True\n" + "x" * 100 + "5"
    assert path.with_name("daemon.log.2").read_text() == "True\n" + "x" * 100 + "4"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_log_that_this_process_does_not_write_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    path.write_bytes(bytes(100))

    assert not rotate_own(path, 50, 2)
    assert not rotate_own(tmp_path / "none", 50, 2)
