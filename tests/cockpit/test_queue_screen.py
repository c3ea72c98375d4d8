import pytest

from cockpit.control import stop_daemon
from store import jobs
from store.schema import Status


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (200, 50)])
def test_the_queue_shows_status_progress_and_figures_at_every_size(visit, bench, size):
    bench.enqueue("base", "full")
    bench.train(bench.start(), 1, 40)
    bench.record(1, {"kind": "score", "name": "strict", "value": 0.625, "fields": {}})

    async def look(person):
        await person.sees("● running", "demo: base", "40%", "62.5%", "○ queued", "full", "1 running")
        assert all(len(line) == size[0] for line in person.text.splitlines())

    visit(look, size)


def test_an_experiment_is_named_in_the_first_line_of_its_jobs_and_wherever_the_table_was_scrolled_to(
    visit, bench
):
    bench.enqueue(*(f"cell-{number}" for number in range(40)), experiment="sweep")

    async def look(person):
        await person.sees("sweep: cell-0 ", "  cell-1 ")
        assert person.text.count("sweep: cell-") == 2, (
            "the first line, and the line about the job under the cursor"
        )
        await person.press("G")
        await person.sees("#40  sweep: cell-39")
        assert person.text.count("sweep: cell-") == 2

    visit(look)


def test_an_empty_store_says_what_to_do_next(visit):
    async def look(person):
        await person.sees("No jobs yet", "chooses a recipe", "no daemon")

    visit(look)


def test_a_filter_keeps_matching_jobs_and_escape_brings_all_back(visit, bench):
    bench.enqueue("alpha", "beta", "gamma")

    async def look(person):
        await person.sees("alpha", "beta")
        await person.press("slash", *"bet")
        await person.no_longer_sees("alpha")
        assert "demo: beta" in person.text
        await person.press(*"x")
        await person.sees("No job matches `betx`")
        await person.press("escape")
        await person.sees("alpha", "gamma")

    visit(look)


def test_cancelling_a_waiting_job_needs_no_question(visit, bench, database):
    bench.enqueue("one")

    async def look(person):
        await person.sees("○ queued")
        await person.press("c")
        await person.sees("⊘ cancelled", "job 1 cancelled")

    visit(look)
    assert jobs.get_job(database, 1).status is Status.CANCELLED


def test_cancelling_a_running_job_is_asked_first(visit, bench, database):
    bench.enqueue("one")
    bench.start()

    async def look(person):
        await person.sees("● running")
        await person.press("c")
        await person.sees("Cancel job 1, one?", "checkpoint")
        await person.press("n")
        await person.no_longer_sees("Cancel job 1")
        assert not jobs.get_job(database, 1).cancel_requested
        await person.press("c", "y")
        await person.sees("■ stopping")

    visit(look)
    assert jobs.get_job(database, 1).cancel_requested


def test_hold_release_priority_and_retry_by_key(visit, bench, database):
    bench.enqueue("one")

    async def look(person):
        await person.sees("○ queued")
        await person.press("h")
        await person.sees("‖ held")
        await person.press("h")
        await person.sees("○ queued")
        await person.press("plus")
        await person.sees("priority 1")
        await person.press("minus", "minus")
        await person.until(lambda: jobs.get_job(database, 1).priority < 1)
        bench.finish(bench.start(), Status.FAILED, "out of memory")
        await person.sees("✗ failed", "out of memory")
        await person.press("r")
        await person.sees("○ queued")

    visit(look)


def test_a_wish_that_the_store_refuses_is_explained(visit, bench):
    bench.enqueue("one")
    bench.finish(bench.start())

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("r")
        await person.sees("only a failed, cancelled or lost job")

    visit(look)


def test_a_thousand_jobs_are_a_window_that_moves_with_the_cursor(visit, bench):
    bench.enqueue(*(f"cell-{index}" for index in range(1000)))

    async def look(person):
        await person.sees("cell-0 ")
        await person.press("G")
        await person.sees("cell-999")
        assert "1000" in person.line("cell-999")
        await person.press("g")
        await person.sees("cell-0 ")

    visit(look)


def test_the_cursor_stays_on_its_job_when_rows_move(visit, bench):
    bench.enqueue("first", "second", "third")

    async def look(person):
        await person.sees("third")
        await person.press("j", "j")
        await person.sees("#3  demo: third")
        bench.start()
        bench.finish(1)
        # The first job has sunk to the end; the third is in the second line now.
        await person.until(lambda: person.text.index("third") < person.text.index("first"))
        await person.sees("#3  demo: third")

    visit(look)


def test_names_from_outside_cannot_paint_or_move_the_terminal(visit, bench):
    bench.enqueue("[bold red]x[/] \x1b[31mred\x1b]0;title\x07 \u202eevil", experiment="[link=evil]y[/]")

    async def look(person):
        await person.sees("[bold red]x[/] red evil", "[link=evil]y[/]")
        assert "\x1b" not in person.text
        await person.press("enter")
        await person.sees("Curves", "[bold red]x[/] red evil")
        await person.press("c")
        await person.sees("job 1 cancelled")

    visit(look, (120, 30))


def test_double_click_opens_a_job_and_escape_returns(visit, bench):
    bench.enqueue("one", "two")

    async def look(person):
        await person.sees("two")
        await person.pilot.click("#job-table", offset=(20, 2), times=2)
        await person.sees("#2", "Curves")
        await person.press("escape")
        await person.sees("progress", "demo: one")

    visit(look)


def test_help_lists_the_keys_that_work_and_the_palette_finds_them(visit, bench):
    bench.enqueue("one")

    async def look(person):
        await person.sees("one")
        await person.press("question_mark")
        await person.sees("Keys", "Hold a waiting job back, or release it", "Queue an ended job again")
        await person.press("escape", "ctrl+p", *"hold")
        await person.sees("Hold: Hold a waiting job back")

    visit(look, (100, 50))


def test_a_missing_daemon_is_started_by_key(visit, database):
    async def look(person):
        await person.sees("no daemon: D starts it")
        await person.press("D")
        await person.sees("● daemon")

    try:
        visit(look)
    finally:
        assert stop_daemon(database, stop_jobs=False, timeout=30)
