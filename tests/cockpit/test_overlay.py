"""Curves of several runs in one chart, and seeds as a band."""

import math
from typing import Any

import pytest

from cockpit.overlay import Overlay, by_seed, labelled, read_overlays, siblings
from cockpit.reads import read_curves
from store import jobs, lifecycle
from store.database import Database
from store.lifecycle import NewJob


@pytest.fixture
def runs(database: Database, bench: Any) -> list[int]:
    """Three seeds of one recipe, one with another learning rate, and one that has logged nothing."""
    recipes = [
        {"seed": 1, "lr": 1},
        {"seed": 2, "lr": 1},
        {"lr": 1, "seed": 3},
        {"seed": 1, "lr": 2},
        {"lr": 3},
    ]
    new = [NewJob(f"r{i}", "sft", recipe) for i, recipe in enumerate(recipes)]
    ids: list[int] = lifecycle.enqueue(database, "demo", new)[1]
    for index in range(4):
        job_id = bench.start()
        length = 50 if index == 2 else 100
        events = [
            {"kind": "metrics", "step": s, "time": 10.0 + s, "values": {"loss": index + math.exp(-s / 30)}}
            for s in range(length)
        ]
        bench.record(job_id, *events)
    return ids


def test_the_other_runs_are_those_of_the_experiment_that_have_logged(
    database: Database, bench: Any, runs: list[int]
) -> None:
    bench.enqueue("elsewhere", experiment="other")
    assert [job.id for job in siblings(database, runs[0])] == runs[1:4]


def test_runs_that_differ_in_nothing_but_the_seed_belong_together(
    database: Database, runs: list[int]
) -> None:
    groups = by_seed(jobs.list_jobs(database, ids=runs))
    assert [[job.id for job in group] for group in groups] == [runs[:3], [runs[3]], [runs[4]]]


@pytest.mark.parametrize("axis", ["step", "time"])
def test_seeds_are_a_band_with_their_mean_and_other_runs_keep_their_curve(
    database: Database, runs: list[int], axis: str
) -> None:
    job = jobs.get_job(database, runs[0])
    found = read_overlays(database, job, runs[1:4], ["loss", "none"], 100, axis, None)
    assert list(found) == ["loss"]
    band, other = found["loss"]
    assert band.label == "mean of seeds 1, 2, 3" and other.label == f"#{runs[3]} r3"
    assert other.curve[0].low == 4.0 and other.last_value == pytest.approx(3 + math.exp(-99 / 30))
    assert (band.band[0].low, band.band[0].high) == (1.0, 3.0)
    assert band.curve[0].low == pytest.approx(2.0)
    # The third seed ended half-way: from there on it is the mean of two.
    assert band.curve[-1].low == pytest.approx(0.5 + math.exp(-99 / 30))
    assert read_overlays(database, job, [], ["loss"], 100, axis, None) == {}


@pytest.mark.parametrize("width", [3, 40, 160])
@pytest.mark.parametrize("part", [None, (0.0, 10.0)])
def test_the_mean_of_seeds_is_that_of_the_newest_step_they_share(
    database: Database, runs: list[int], width: int, part: tuple[float, float] | None
) -> None:
    """The third seed has ended at step 49; what is drawn, and how wide, does not matter."""
    job = jobs.get_job(database, runs[0])
    found = read_overlays(database, job, runs[1:3], ["loss"], width, "step", part)
    assert found["loss"][0].last_value == pytest.approx(1 + math.exp(-49 / 30))
    both = read_overlays(database, job, runs[1:2], ["loss"], width, "step", part)
    assert both["loss"][0].last_value == pytest.approx(0.5 + math.exp(-99 / 30))


def test_seeds_that_share_no_newest_step_have_the_mean_of_an_older_one_or_none(
    database: Database, bench: Any
) -> None:
    new = [NewJob(f"r{seed}", "sft", {"seed": seed}) for seed in (1, 2, 3)]
    ids = lifecycle.enqueue(database, "demo", new)[1]
    for steps in ((*range(0, 300, 5), 301), (*range(0, 300, 7), 302), (401, 402)):
        job_id = bench.start()
        bench.record(job_id, *({"kind": "metrics", "step": s, "values": {"loss": s + job_id}} for s in steps))
    job = jobs.get_job(database, ids[0])

    def mean(others: list[int]) -> float | None:
        return read_overlays(database, job, others, ["loss"], 80, "step", None)["loss"][0].last_value

    assert mean([ids[1]]) == 280 + 1.5
    assert mean([ids[2]]) is None


def test_runs_beside_two_metrics_of_one_chart_are_told_apart() -> None:
    one = Overlay("#2 b", [], [], 1.0)
    both = {"loss": [one], "eval_loss": [one]}
    assert list(labelled(["loss", "eval_loss"], both)) == ["loss, #2 b", "eval_loss, #2 b"]
    assert list(labelled(["loss"], both)) == ["#2 b"]


def test_without_the_data_for_the_axis_a_run_is_left_out(
    database: Database, bench: Any, runs: list[int]
) -> None:
    bench.record(runs[0], {"kind": "metrics", "step": 100, "values": {"epoch": 1.0, "loss": 1.0}})
    read = read_curves(database, runs[0], ["loss"], 80, "epoch", None, runs[1:4])
    assert read.axis.name == "epoch" and read.overlays == {}


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_a_person_lays_runs_over_the_curve_and_takes_them_away(
    visit: Any, runs: list[int], size: tuple[int, int]
) -> None:
    async def look(person: Any) -> None:
        await person.sees("r0", "● running")
        await person.press("enter")
        await person.sees("━ loss")
        await person.press("o")
        await person.sees("Runs to draw beside", "[ ] #")
        await person.press("space", "j", "space", "j", "space", "enter")
        await person.sees("╍ B mean of seeds")
        await person.press("o")
        await person.sees("[x] #")
        await person.press("space", "j", "space", "j", "space", "enter")
        await person.no_longer_sees("╍ B mean of seeds")

    visit(look, size)
