import math

import pytest

from cockpit.widgets.metric_plot import MetricPlot
from store import paths
from store.schema import Status


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_curves_grow_as_points_arrive(visit, bench, size):
    bench.enqueue("train")
    bench.train(bench.start(), 1, 10)

    async def look(person):
        await person.sees("● running")
        await person.press("enter")
        await person.sees("━ loss", "10/100 step", "10%")
        before = person.text
        bench.train(1, 11, 30)
        await person.sees("30/100 step", f"loss {2 * math.exp(-1) + 0.1:.4f}")
        assert person.text != before
        assert any("\u2801" <= character <= "\u28ff" for character in person.text)

    visit(look, size)


def test_only_changed_cells_of_a_chart_are_refreshed(visit, bench):
    bench.enqueue("train")
    bench.train(bench.start(), 1, 60)
    regions = []

    async def look(person):
        await person.sees("● running")
        await person.press("enter")
        await person.sees("60/100 step")
        plot = person.app.screen.query_one(MetricPlot)
        await person.pilot.pause(0.2)
        refresh = plot.refresh
        plot.refresh = lambda *changed, **options: regions.append(changed) or refresh(*changed, **options)
        bench.train(1, 61, 61)
        await person.sees("61/100 step")
        await person.until(lambda: regions)
        drawn = sum(region.area for changed in regions for region in changed)
        assert all(regions) and 0 < drawn < plot.size.area / 10

    visit(look)


def test_smoothing_log_scale_and_the_choice_of_metrics(visit, bench):
    bench.enqueue("train")
    bench.train(bench.start(), 1, 60)
    bench.record(1, {"kind": "metrics", "step": 60, "values": {"grad_norm": 0.5, "loss": "nan"}})

    async def look(person):
        await person.sees("● running")
        await person.press("enter")
        await person.sees("━ loss", "× NaN or inf")
        await person.press("plus", "y")
        await person.sees("log y", "EMA over")
        await person.press("0")
        await person.no_longer_sees("EMA over")
        await person.press("m")
        await person.sees("Metrics to draw", "[x] loss", "[ ] grad_norm")
        await person.press("j", "space", "enter")
        await person.sees("━ loss", "━ grad_norm")

    visit(look)


def test_a_job_without_metrics_says_so(visit, bench):
    bench.enqueue("train")

    async def look(person):
        await person.sees("queued")
        await person.press("enter")
        await person.sees("has logged no metrics yet")

    visit(look)


def test_the_log_follows_and_its_escapes_are_harmless(visit, bench, database):
    bench.enqueue("train")
    bench.start()
    log = paths.run_dir(database.home, 1) / "worker.log"
    log.parent.mkdir()
    log.write_bytes(
        b"\x1b[2J\x1b]52;c;ZXZpbA==\x07[bold]not markup[/]\n10%\r50%\r90%\nnul \x00 bad \xff\n"
        + b"x" * 5000
        + b"\n"
    )

    async def look(person):
        await person.sees("● running")
        await person.press("enter", "2")
        await person.sees("…")
        await person.press("g")
        await person.sees("[bold]not markup[/]", "90%", "nul \ufffd bad \ufffd")
        assert "10%" not in person.text
        assert "\x1b" not in person.text
        await person.press("G")
        with log.open("a") as file:
            file.write("the newest line\n")
        await person.sees("the newest line")

    visit(look)


def test_a_large_log_is_walked_searched_and_followed(visit, bench, database):
    bench.enqueue("train")
    bench.start()
    log = paths.run_dir(database.home, 1) / "worker.log"
    log.parent.mkdir()
    line = "step %06d loss 1.5 " + "word " * 30
    log.write_text("".join(line % i + "\n" for i in range(20_000)) + "ValueError: the end\n")

    async def look(person):
        await person.sees("● running")
        await person.press("enter", "2")
        await person.sees("ValueError: the end", "100%", "follows")
        await person.press("k")
        await person.sees("stays")
        with log.open("a") as file:
            file.write("newer\n")
        await person.sees(f"of {log.stat().st_size:,}")
        assert "newer" not in person.text
        await person.press("G")
        await person.sees("newer", "follows")
        await person.press("g")
        await person.sees("step 000000", "bytes 0-", "stays")
        await person.press(*["pagedown"] * 10)
        await person.sees("step 000052")
        await person.press("percent_sign", *"half", "enter")
        await person.sees("`half` is no place")
        await person.press(*["backspace"] * 4, *"50%", "enter")
        await person.sees("step 010000", "50%")
        await person.press("w")
        await person.sees("cut from column 1", "step 010003")
        await person.press("greater_than_sign")
        await person.no_longer_sees("step 010003")
        await person.press("w", "slash", *"[", "enter")
        await person.sees("no regular expression")
        await person.press("backspace", *"STEP 0123.0", "enter")
        await person.sees("is not below")
        await person.press("slash", *["backspace"] * 11, *"step 0123.0", "enter")
        await person.sees("step 012300", "at byte")
        await person.press("n")
        await person.until(lambda: "step 012310" in person.text.splitlines()[5])
        await person.press("N")
        await person.until(lambda: "step 012300" in person.text.splitlines()[5])
        await person.press("N")
        await person.sees("is not above")

    visit(look)


def test_recipe_history_and_results_are_in_their_tabs(visit, bench):
    bench.enqueue("evaluation", engine="eval")
    bench.start()
    bench.record(1, {"kind": "message", "level": "warning", "text": "[red]careful[/]"})
    bench.record(1, {"kind": "artifact", "name": "metrics", "path": "metrics.json"})
    bench.score(1, [True, False])
    bench.finish(1)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("enter")
        # An evaluation opens on its results.
        await person.sees("Scores", "strict", "50.0%  [40.0, 60.0]  n 2", "metrics.json")
        await person.press("3")
        await person.sees("model:", "base: pocket")
        await person.press("right_square_bracket")
        await person.sees("submitted", "[red]careful[/]", "attempt 1", "✓ succeeded")
        await person.press("1")
        await person.sees("no metrics yet")

    visit(look)


def test_scores_of_rounds_and_budgets_are_told_apart_by_their_names(visit, bench):
    bench.enqueue("loop", engine="tpt")
    bench.start()
    share = {"low": 0.1, "high": 0.4, "n": 20}
    for name, value, fields in (
        ("strict", 0.2, share),
        ("r1/dev_robust", 0.25, share),
        ("budget/generated_tokens", 661.0, {}),
        ("odd", 1.5, {"low": "nan", "high": "nan"}),
    ):
        bench.record(1, {"kind": "score", "name": name, "value": value, "fields": fields})
    bench.finish(1)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("enter", "5")
        await person.sees(
            "budget/generated_tokens  661", "r1/dev_robust            25.0%  [10.0, 40.0]  n 20"
        )

    visit(look)


def test_a_failed_job_says_why_and_retry_works_from_its_screen(visit, bench):
    bench.enqueue("train")
    bench.start()
    bench.finish(1, Status.FAILED, "the worker ran out of memory")

    async def look(person):
        await person.sees("✗ failed")
        await person.press("enter")
        await person.sees("the worker ran out of memory")
        await person.press("r")
        await person.sees("○ queued")

    visit(look)


def test_a_blocked_job_names_what_it_waits_for(visit, database):
    from store.lifecycle import NewJob, enqueue

    enqueue(database, "demo", [NewJob("prep", "sft", {}), NewJob("full", "sft", {}, needs=(("prep", None),))])

    async def look(person):
        await person.sees("◌ blocked")
        await person.press("j", "enter")
        await person.sees("waits for prep (queued)")

    visit(look)


COLLAPSE = "step 40: the embeddings may be collapsing: the embedding loss is at its best, and retrieval fell from 0.812 to 0.031"
"""As the step_jepa engine words it."""


def embed(bench, step, **values):
    found = {"lm_loss": 0.5, "jepa_loss": 0.25, "loss": 0.525}
    bench.record(1, {"kind": "metrics", "step": step, "values": found})
    panel = {"margin": 0.125, "retrieval": 0.75, "effective_rank": 12.5, "jepa_loss": 0.3} | values
    named = {f"panel/{name}": value for name, value in panel.items()}
    bench.record(1, {"kind": "metrics", "step": step, "values": named})


def test_the_figures_of_the_embeddings_stand_beside_the_language_loss_and_have_curves(visit, bench):
    bench.enqueue("embed", engine="step_jepa")
    bench.start()
    for step in range(1, 30):
        embed(bench, step)

    async def look(person):
        await person.sees("● running")
        await person.press("enter")
        await person.sees("lm_loss 0.5000   jepa_loss 0.2500   margin 0.1250   R@1 75.0%   rank 12.50")
        await person.sees("━ loss", "A lm", "C pa", "argin 0.1250", "ieval 0.7500")
        await person.press("m")
        await person.sees("Metrics to draw", "[x] lm_loss", "[ ] panel/effective_rank")
        await person.press("escape")
        embed(bench, 30, retrieval=0.0)
        await person.sees("R@1 0.0%   rank 12.50")

    visit(look)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_the_collapse_alarm_is_seen_on_every_tab_and_whole_in_the_history(visit, bench, size):
    bench.enqueue("embed", engine="step_jepa")
    bench.start()
    embed(bench, 1)

    async def look(person):
        await person.sees("● running")
        await person.press("enter")
        await person.sees("lm_loss 0.5000")
        assert "! step" not in person.text
        bench.record(1, {"kind": "message", "level": "info", "text": "halfway"})
        bench.record(1, {"kind": "message", "level": "warning", "text": "early\nand long ago"})
        await person.sees("! early and long ago")
        bench.record(1, {"kind": "message", "level": "warning", "text": COLLAPSE})
        await person.sees("! step 40: the embeddings may be collapsing", "lm_loss 0.5000")
        await person.press("4")
        await person.sees("! step 40: the embeddings may be collapsing", "early", "halfway")
        if size[0] > 150:
            await person.sees("retrieval fell from 0.812 to 0.031")

    visit(look, size)


def test_a_warning_of_an_earlier_attempt_is_history(visit, bench):
    bench.enqueue("embed", engine="step_jepa")
    bench.start()
    bench.record(1, {"kind": "message", "level": "warning", "text": "collapsing", "time": 1000.0})

    async def look(person):
        await person.sees("● running")
        await person.press("enter", "4")
        await person.sees("collapsing")
        assert "! collapsing" not in person.text

    visit(look)
