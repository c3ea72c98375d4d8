"""Models side by side, what sets them apart, and the examples behind a difference."""

import pytest

from store import lifecycle
from store.lifecycle import NewJob

SUITE = {
    "task": "suite",
    "split": "test",
    "data_hash": "d",
    "domains": {"sums": "math", "proofs": "math", "python": "code"},
}


def an_evaluation(bench, right, **tasks):
    """Of forty questions in three tasks, every so-many-th of which is answered rightly."""
    job = bench.start()
    for place in range(40):
        task, is_right = ("sums", "proofs", "python")[place % 3], right(place)
        said = f"First there were {place}, then one more came. " + (
            "So it is" if is_right else "That makes it"
        )
        fields = {
            "example_id": f"{task}/q{place}", "sample": 0, "question": f"What is {place} + 1, if nobody leaves?",
            "gold": str(place + 1), "gold_reasoning": f"{place} + 1 = {place + 1}",
            "completion": f"{said} {place + is_right}.", "extracted": str(place + is_right), "method": "tag",
            "strict": is_right, "robust": is_right or place % 9 == 0, "terminated": place % 7 != 0, "tokens": 17,
        }  # fmt: skip
        bench.record(job, {"kind": "example", "key": f"{task}/q{place}/0", "fields": fields})
    share = sum(map(right, range(40))) / 40
    for name in ("strict", "robust"):
        fields = {"n": 40, "low": max(share - 0.12, 0), "high": min(share + 0.12, 1), "protocol": SUITE}
        bench.record(job, {"kind": "score", "name": name, "value": share, "fields": fields})
    bench.finish(job)


@pytest.fixture
def models(bench, database, clock):
    """A base, two seeds of a method, an even one, and one that was asked something else. Two were trained here."""
    clock.ago(120)
    trained = {"engine": "sft", "model": {"base": "pocket"}, "learning_rate": 0.0001}
    seeds = [NewJob(f"full[seed={seed}]", "sft", trained | {"seed": seed}) for seed in (1, 2)]
    evaluated = [
        NewJob(
            f"full[seed={seed}]/eval",
            "eval",
            {"model": {"from": "it"}, "seed": seed},
            ((f"full[seed={seed}]", "it"),),
        )
        for seed in (1, 2)
    ]
    others = [
        NewJob(name, "eval", {"engine": "eval", "model": {"base": name}})
        for name in ("base", "instruct-with-a-long-name", "other")
    ]
    lifecycle.enqueue(database, "gsm8k-sft", [others[0], *seeds, *evaluated, *others[1:]])
    an_evaluation(bench, lambda place: place % 4 == 0)
    for last in (60, 45):
        job = bench.start()
        bench.train(job, 1, last)
        bench.finish(job)
    an_evaluation(bench, lambda place: place % 5 != 0)
    an_evaluation(bench, lambda place: place % 8 != 0)
    an_evaluation(bench, lambda place: place % 4 == 1)
    bench.score(bench.start(), [True] * 6)
    bench.finish(7)
    clock.ago(0)


def test_models_side_by_side(play, models):
    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v")
        await person.sees("baseline", "full × 2 seeds")
        await person.shot("seeds as one row")
        await person.press("u")
        await person.shot("seeds apart")
        await person.press("G")
        await person.sees("Not comparable")
        await person.shot("refused")
        await person.press("g", "m")
        await person.shot("all cells")
        await person.press("right", "right", "right", "right")
        await person.shot("all cells, to the right", sizes=())
        await person.press("m", "left", "left", "left", "left", "j", "d")
        await person.sees("What differs")
        await person.shot("what differs")
        await person.press("escape", "c")
        await person.sees("━ full")
        await person.shot("curves")
        await person.press("escape", "e", "ctrl+u")
        await person.type("/data/exports")
        await person.shot("export")
        await person.press("escape")

    play(look)


def test_nothing_to_compare_and_no_curves(play, bench):
    bench.enqueue("one", "two", engine="eval")

    async def look(person):
        await person.sees("queued")
        await person.press("v")
        await person.sees("Nothing to compare")
        await person.shot("empty")

    play(look)


def test_models_without_curves(play, bench):
    bench.enqueue("base", "full", engine="eval")
    for right in (False, True):
        job = bench.start()
        bench.score(job, [right] * 4)
        bench.finish(job)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v", "c")
        await person.sees("No training curves")
        await person.shot("empty")

    play(look)


def test_the_examples_behind_a_difference(play, models):
    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v", "u", "enter")
        await person.sees("only B right")
        await person.shot("one")
        await person.press("d")
        await person.shot("one, without the difference")
        await person.press("d", "slash")
        await person.type("nobody leaves")
        await person.shot("searched")
        await person.press("enter", "escape", "c")
        await person.shot("a kind of mistake")
        await person.press("1")
        await person.sees("No example of this case")
        await person.shot("none")

    play(look)
