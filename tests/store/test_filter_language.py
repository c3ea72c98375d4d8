"""The words that pick jobs: what they mean, what they find, and what is said about those that mean nothing."""

import random
import time

import pytest

from store.database import Database
from store.filter_language import FIELDS, parse
from store.filter_tree import FilterError, depends_on_time
from store.jobs import list_jobs
from store.lifecycle import NewJob, Outcome, claim, enqueue, finish, mark_running
from store.queue import SORTS, Sort, read_rows
from store.records import record
from store.schema import Status, jobs
from store.wishes import set_held


@pytest.fixture
def queue(database: Database) -> Database:
    """1 done (50 %), 2 running (loss 1.5, half done, for an hour), 3 failed, 4 queued, 5 held, 6 blocked."""
    enqueue(
        database,
        "demo",
        [
            NewJob("done", "eval", {}, priority=9),
            NewJob("full seed=1", "sft", {}, priority=8),
            NewJob("full seed=2", "sft", {}, priority=7),
        ],
    )
    enqueue(
        database,
        "Sweep (big)",
        [
            NewJob("later", "sft", {}, group="night"),
            NewJob("100%_", "grpo", {}, gpus=2, priority=3),
            NewJob("stuck", "eval", {}, needs=(("later", None),)),
        ],
    )
    for job_id in (1, 2, 3):
        claim(database, 9, [])
        mark_running(database, job_id, {"started_at": time.time() - 3600})
    finish(database, 1, Outcome(Status.SUCCEEDED, 0, None))
    finish(database, 3, Outcome(Status.FAILED, 1, "ran out of memory"))
    score = {"kind": "score", "time": 2.0, "name": "strict", "value": 0.5}
    record(database, 1, 0, 1, [score])
    metric = {"kind": "metrics", "time": 1.0, "step": 1, "values": {"loss": 1.5}}
    record(
        database, 2, 0, 1, [metric, {"kind": "progress", "time": 1.0, "done": 5, "total": 10, "unit": "step"}]
    )
    set_held(database, 5, True)
    with database.write() as connection:
        connection.execute(jobs.update().where(jobs.c.id == 6).values(created_at=time.time() - 90_000))
    return database


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("DEMO sft", [2, 3]),
        ("demo !sft", [1]),
        ("! demo !", [1, 2, 3]),
        ("#3", [3]),
        ("held", [5]),
        ("status:held", [5]),
        ("seed=1", [2]),
        ('"big)"', [4, 5, 6]),
        ("100%", [5]),
        ("_", [5]),
        ("'; drop table jobs", []),
        ("status:failed,run", [2, 3]),
        ("status:waiting", [4, 5, 6]),
        ("status:done", [1]),
        ("status:ended engine:eval", [1]),
        ("engine=ev", []),
        ("engine:ev", [1, 6]),
        ("exp:sweep", [4, 5, 6]),
        ("exp:1", [1, 2, 3]),
        ("exp=demo", [1, 2, 3]),
        ('exp:"Sweep (b"', [4, 5, 6]),
        ("group:nig", [4]),
        ("NOT group:night", [1, 2, 3, 5, 6]),
        ("reason:memory", [3]),
        ("/seed=[12]$/", [2, 3]),
        ("!/SEED=/", [1, 4, 5, 6]),
        ("name:/^(done|later)$/", [1, 4]),
        ("/seed=1", [2]),
        ("acc>0.4", [1]),
        ("acc>=50%", [1]),
        ("acc>0.5", []),
        ("NOT acc>0.5", [1, 2, 3, 4, 5, 6]),
        ("loss<2", [2]),
        ("loss:1..1.5", [2]),
        ("done<60%", [2]),
        ("id:2-3,6", [2, 3, 6]),
        ("id>4", [5, 6]),
        ("priority:3", [5]),
        ("priority:-1-0", [4, 6]),
        ("gpus>0", [5]),
        ("age>1d", [6]),
        ("age<2h", [1, 2, 3, 4, 5]),
        ("took>30m", [1, 2, 3]),
        ("status:failed OR acc>0.4", [1, 3]),
        ("sft (seed=1 OR seed=2) AND NOT status:failed", [2]),
        ("!(sft OR eval)", [5]),
        ("(sft (seed=1", [2]),
    ],
)
def test_what_words_find(queue: Database, text: str, found: list[int]) -> None:
    where = parse(text)
    assert sorted(row.id for row in read_rows(queue, where=where)[1]) == found
    assert [job.id for job in list_jobs(queue, where=where)] == found


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("acc>", "`acc>` lacks a value", "acc>0.5"),
        ("acc>high", "`high` is no number", "acc>=50%"),
        ("age<2", "`2` is no span of time", "s, m, h, d and w are allowed"),
        ("id:9-3", "`9-3` has its larger end first", "id:3-9"),
        ("status:finished", "there is no status `finished`", "succeeded"),
        ("engne:sft", "there is no field `engne`", "did you mean `engine:`?"),
        ("colour:red", "there is no field `colour`", '"colour:red"'),
        ("name>3", "`name` is text", "name:/regex/"),
        ("/(/", "missing )", "regular expressions"),
        ("sft)", "`)` closes nothing", "quotes"),
        ("OR sft", "`OR` has nothing before it", "both of its sides"),
        ("sft OR", "`OR` has nothing behind it", "both of its sides"),
        ("NOT", "`NOT` has nothing behind it", "left out"),
        ("(" * 30 + "a", "too many brackets", "20"),
    ],
)
def test_words_that_mean_nothing_are_explained(text: str, said: str, hint: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)

    assert said in caught.value.text
    assert hint in caught.value.hint


def test_whatever_is_typed_is_understood_or_refused_and_never_breaks_the_database(queue: Database) -> None:
    pieces = [*FIELDS, ":", "=", ">", "<=", "/", "\\", '"', "(", ")", "!", " ", " OR ", " NOT ", "a", "3", "-", "%", ",", "[", "*", "\0", "é"]  # fmt: skip
    dice = random.Random(7)
    understood = 0
    for _ in range(1500):
        text = "".join(dice.choice(pieces) for _ in range(dice.randint(1, 9)))
        try:
            where = parse(text)
        except FilterError:
            continue
        read_rows(queue, where=where, limit=1)
        understood += 1
    assert understood > 300


def test_only_ages_pass_without_anything_being_written() -> None:
    assert depends_on_time(parse("sft OR NOT (age<2h held)"))
    assert not depends_on_time(parse("sft OR NOT (acc>2 held)"))


def test_every_order_has_every_job_once_and_what_lacks_the_value_last(queue: Database) -> None:
    for column in SORTS:
        for reverse in (False, True):
            rows = read_rows(queue, sort=Sort(column, reverse))[1]
            assert sorted(row.id for row in rows) == [1, 2, 3, 4, 5, 6]
            assert [row.id for row in read_rows(queue, sort=Sort(column, reverse), offset=2, limit=3)[1]] == [
                row.id for row in rows[2:5]
            ]
            if column in ("accuracy", "loss"):
                assert getattr(rows[0], column) is not None
                assert getattr(rows[1], column) is None
    assert [row.id for row in read_rows(queue, sort=Sort("name"))[1]][:2] == [5, 1]
    assert [row.id for row in read_rows(queue, sort=Sort("priority"))[1]][:3] == [1, 2, 3]
    assert [row.id for row in read_rows(queue, sort=Sort("took"))[1]][-3:] == [4, 5, 6]
