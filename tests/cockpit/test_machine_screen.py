"""The machine: cards, load, the home's size and making room, the daemon's health."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit import cleanup, machine_facts
from cockpit.control import stop_daemon
from cockpit.widgets.lanes import lane_cells, sparkline
from store import jobs, lifecycle, machine, paths
from store.database import Database
from store.lanes import Holder, Lane, read_lanes

Visits = Callable[..., None]
GIB = 1 << 30
CARDS = [
    {"uuid": "GPU-a", "name": "H200", "memory_bytes": 80 * GIB},
    {"uuid": "GPU-b", "name": "H200", "memory_bytes": 80 * GIB, "blocked": "in use by ollama (pid 7)"},
    {"uuid": "GPU-c", "name": "H200", "memory_bytes": 80 * GIB},
]


@pytest.fixture
def cards(bench: Any, database: Database) -> Database:
    """Job 1 holds the first of three cards, with five samples of it; the second is somebody else's."""
    machine.announce(database, 2, CARDS)
    bench.enqueue("train [x]\x1b[31m", gpus=1)
    claimed = lifecycle.claim(database, 0, ["GPU-a", "GPU-c"])
    assert claimed is not None
    lifecycle.mark_running(database, 1, {"started_at": 5.0, "pid": 1})
    for step, util in enumerate((0, 25, 50, 75, 100)):
        values = {"gpu/0/util": util, "gpu/0/memory": 8.0 * step}
        bench.record(1, {"kind": "metrics", "step": step, "values": values})
    return database


def test_a_lane_says_who_holds_a_card_and_how_busy_it_was(cards: Database) -> None:
    taken, blocked, free = read_lanes(cards, 3)
    assert (taken.util, taken.memory) == ((50, 75, 100), (16, 24, 32))
    assert [holder.job_id for holder in taken.holders] == [1]
    assert (blocked.blocked, free.holders, free.util) == ("in use by ollama (pid 7)", (), ())
    text = "".join(text for text, _ in lane_cells(taken, 0, 100))
    assert "GPU 0 ■ #1 train [x]" in text and "\x1b" not in text
    assert "100%" in text and "▅▇█" in text and "32.0/80 GiB" in text
    assert "‖ in use by ollama" in "".join(text for text, _ in lane_cells(blocked, 1, 78))
    shared = Lane("u", "n", None, None, (Holder(1, "a", GIB), Holder(2, "b", 2 * GIB)))
    assert "#1 a (1 GiB), #2 b (2 GiB)" in lane_cells(shared, 0, 120)[1][0]
    for lane in (taken, blocked, free, shared):
        assert sum(len(text) for text, _ in lane_cells(lane, 0, 78)) <= 78
    # What has no history leaves its room to the text, and the memory stays in its column.
    assert "in use by ollama (pid 7) " in "".join(text for text, _ in lane_cells(blocked, 1, 78))
    lines = ["".join(text for text, _ in lane_cells(lane, 1, 78)) for lane in (blocked, free)]
    assert lines[0].index("GiB") == lines[1].index("GiB")


def test_a_sparkline_shows_the_newest_values_and_never_leaves_its_cells() -> None:
    assert sparkline((0, 50, 100), 100, 5) == "  ▁▅█"
    assert sparkline((100, 0, 200), 100, 2) == "▁█"
    assert sparkline((), 100, 3) == "   "


def test_the_machine_is_shown_and_lanes_stand_above_a_wide_queue(cards: Database, visit: Visits) -> None:
    machine_facts_log(cards.home)

    async def narrow(person: Any) -> None:
        await person.sees("train [x]")
        assert "GPU 0" not in person.text
        await person.press("M")
        await person.sees(
            "GPU 0 ■ #1 train [x]", "‖ in use by ollama", "□ free", "CPU load", "memory", "disk"
        )
        await person.sees("runs 0 B", "nothing to clean up")
        assert all(len(line) == 80 for line in person.text.splitlines())
        await person.press("G")
        await person.sees("Notifications", "2 lines of trouble", "this round failed")
        await person.press("S")
        await person.sees("No groups and no schedules")
        await person.press("escape", "escape")
        await person.sees("progress")

    visit(narrow)

    async def wide(person: Any) -> None:
        await person.sees("GPU 0 ■ #1 train [x]", "GPU 2 □ free", "progress")
        await person.press("M")
        await person.sees("Groups (S changes them)", "Notifications")

    visit(wide, (200, 50))


def machine_facts_log(home: Path) -> None:
    lines = ["2026 INFO daemon: started", "2026 ERROR daemon: this round failed", "OSError: \x1b[31mno space"]
    paths.daemon_log(home).write_text("\n".join(lines) + "\n")


def test_facts_are_rounded_to_what_is_shown_and_the_log_is_judged_by_its_end(database: Database) -> None:
    machine_facts_log(database.home)
    with paths.daemon_log(database.home).open("a") as log:
        log.write("x" * 50_000 + "\n2026 INFO daemon: fine\n")
    health = machine_facts.read_facts(database).daemon
    assert (health.running, health.log[-1], health.complaints) == (
        False,
        ("2026 INFO daemon: fine", False),
        0,
    )
    load = machine_facts.read_load(database.home)
    assert load.cores >= 1 and 0 < load.memory_used < load.memory and 0 < load.disk_free <= load.disk
    assert round(load.memory_used, 1) == load.memory_used


def test_what_may_go_is_shown_measured_chosen_asked_for_and_gone(
    bench: Any, visit: Visits, database: Database
) -> None:
    bench.enqueue("one")
    bench.finish(bench.start())
    checkpoint = database.run_dir(1) / "checkpoints" / "step-1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "weights").write_bytes(b"w" * 4096)
    orphan = paths.runs(database.home) / "77"
    orphan.mkdir()
    (orphan / "log").write_bytes(b"l" * 100)
    plans = {plan.kind: plan for plan in cleanup.measure(database).plans}
    assert plans["checkpoints"].line == "checkpoints of succeeded jobs: 1, 4 KiB"

    async def look(person: Any) -> None:
        await person.press("M")
        await person.sees("P would free 4.1 KiB")
        await person.press("P")
        await person.sees("What may go?", "run directories that belong to no job: 1, 100 B")
        await person.press("enter")
        await person.sees("Delete for good?", "runs/1/checkpoints")
        await person.press("n")
        assert checkpoint.exists()
        await person.press("P", "enter", "y")
        await person.until(lambda: not checkpoint.exists(), "the end of the checkpoint")
        await person.sees("P would free 100 B")
        assert orphan.exists()

    visit(look)
    assert jobs.get_job(database, 1).status == "succeeded"


def test_the_daemon_is_started_shown_and_stopped_by_key(visit: Visits, database: Database) -> None:
    async def look(person: Any) -> None:
        await person.press("U")
        await person.sees("No daemon runs")
        await person.press("D")
        await person.sees("● daemon")
        await person.press("M")
        await person.sees("● pid", "MiB", "CPU slots")
        await person.press("U")
        await person.sees("Stop the daemon; running jobs go on")
        await person.press("enter")
        await person.sees("Nothing new is started. 0 running jobs go on.")
        await person.press("y")
        await person.sees("none is running: D starts it; the last one stopped at")

    try:
        visit(look)
    finally:
        stop_daemon(database, stop_jobs=False, timeout=30)
    assert not machine.daemon_is_running(database.home)


@pytest.mark.parametrize("setting", ["NO_COLOR", "TUNEDECK_ASCII"])
def test_queue_and_machine_hold_without_colours_and_in_ascii(
    cards: Database, bench: Any, visit: Visits, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(setting, "1")
    bench.enqueue("tränen 漢字", experiment="évil\x1b[2J\u202e", gpus=1)

    async def look(person: Any) -> None:
        await person.sees("GPU 0", "train [x]")
        await person.press("e", "Z", "A")
        await person.sees("2 marked", "0/1 done")
        await person.press("slash", *"age>")
        await person.sees("lacks a value", "age<2h")
        await person.press("escape", "o")
        await person.sees("Sort by")
        texts = [person.text]
        await person.press("escape", "M")
        await person.sees("CPU load", "GiB are free")
        texts.append(person.text)
        assert not any("\x1b" in text or "\u202e" in text for text in texts)
        if setting == "TUNEDECK_ASCII":
            assert all(text.isascii() for text in texts)
        assert all(len(line) == 200 for line in texts[-1].splitlines())

    visit(look, (200, 50))
