"""`tunedeck regrade`: yesterday's completions under today's graders."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cockpit import comparison
from cockpit.cli.regrade import regrade as command
from cockpit.regrading import regrade
from daemon.ingest import ingest
from engines.events import EventWriter
from engines.prompts.spec import PromptSpec
from engines.tasks.example import Example
from engines.tasks.grading import GRADERS, VERSION
from engines.tasks.scored import ScoredExample, score
from engines.tasks.summary import summarize
from store import jobs, lifecycle, results
from store.database import Database, StoreError, open_database
from store.jobs import Job
from store.lifecycle import NewJob, Outcome
from store.schema import Status

SPEC = PromptSpec(system="", solution_start="<A>", solution_end="</A>")
COMPLETIONS = [
    ("<start_working_out>2+2<end_working_out><A>4</A>", "4"),
    ("<start_working_out>2+3<end_working_out><A>6</A>", "5"),
    ("The answer is 6", "6"),
    ("#### 7", "7"),
]


def graded_today() -> list[ScoredExample]:
    return [
        score(
            Example(f"q{index}", "?", "", gold),
            0,
            text,
            SPEC,
            terminated=True,
            tokens=9,
            count_tokens=lambda text: len(text),
        )
        for index, (text, gold) in enumerate(COMPLETIONS)
    ]


def protocol(version: int) -> dict[str, Any]:
    sampling = {"temperature": 0.0}
    return {"task": "t", "split": "test", "questions": 4, "data_hash": "d", "prompt_hash": "p", "sampling": sampling, "grading": version}  # fmt: skip


def evaluated(
    database: Database,
    name: str = "a",
    version: int = VERSION - 1,
    engine: str = "eval",
    finished: bool = True,
    **wrong: Any,
) -> Job:
    """An evaluation whose first completion was graded as wrong, by graders that did not know of `tpt_strict`."""
    recipe = {"prompt": SPEC.model_dump()}
    _, [job_id] = lifecycle.enqueue(database, "x", [NewJob(name, engine, recipe)])
    lifecycle.claim(database, 9, [])
    run_dir = database.run_dir(job_id)
    run_dir.mkdir(parents=True)
    writer = EventWriter(run_dir)
    rows = graded_today()
    rows[0] = dataclasses.replace(rows[0], strict=False, robust=False, **wrong)
    for row in rows:
        fields = dataclasses.asdict(row) | {"logprob": -1.5}
        del fields["tpt_strict"]
        writer.emit("example", key=row.key, fields=fields)
    for figure in summarize(rows):
        if figure.name != "tpt_strict":
            more = {"protocol": protocol(version)} if figure.name in GRADERS else {}
            writer.emit("score", name=figure.name, value=figure.value, fields=figure.fields | more)
    writer.emit("score", name="budget/steps", value=12, fields={})
    writer.close()
    ingest(database, jobs.get_job(database, job_id))
    if finished:
        lifecycle.finish(database, job_id, Outcome(Status.SUCCEEDED, 0, None))
    return jobs.get_job(database, job_id)


def values(database: Database, job_id: int) -> dict[str, float | None]:
    return {score.name: score.value for score in results.list_scores(database, [job_id])}


def stored(database: Database, job_id: int) -> tuple[Any, ...]:
    """Everything that grading decides."""
    return results.list_examples(database, job_id), results.list_scores(database, [job_id])


def test_grades_and_scores_become_those_of_an_evaluation_of_today(database: Database) -> None:
    job = evaluated(database)
    before = values(database, job.id)
    found = regrade(database, job.id)
    today = {figure.name: figure.value for figure in summarize(graded_today())}

    assert (before["strict"], before["robust"]) == (0.0, 0.5)
    assert values(database, job.id) == today | {"budget/steps": 12}
    assert (today["strict"], today["robust"], today["tpt_strict"]) == (0.25, 0.75, 0.25)
    for example, row in zip(results.list_examples(database, job.id), graded_today(), strict=True):
        assert example.fields == dataclasses.asdict(row) | {"logprob": -1.5}
        assert (example.strict, example.robust) == (row.strict, row.robust)
    assert (found.flips["strict"].gained, found.flips["strict"].lost) == (["q0/0"], [])
    assert found.flips["tpt_strict"].new
    strict = next(s for s in results.list_scores(database, [job.id]) if s.name == "strict")
    assert strict.fields["protocol"] == protocol(VERSION)
    assert strict.fields["n"] == 4


def test_the_change_stands_in_the_audit_log(database: Database) -> None:
    job = evaluated(database)
    regrade(database, job.id)
    line = results.list_transitions(database, job.id)[-1]

    assert (line.from_status, line.to_status) == ("succeeded", "succeeded")
    assert line.reason is not None
    assert f"graded again with version {VERSION} of the graders (before: {VERSION - 1})" in line.reason
    assert "4 of 4 completions changed, strict 0.0% to 25.0%" in line.reason


def test_the_database_can_be_rebuilt_from_the_run_directory(database: Database, tmp_path: Path) -> None:
    job = evaluated(database)
    regrade(database, job.id)
    rebuilt = open_database(tmp_path / "other")
    lifecycle.enqueue(rebuilt, "x", [NewJob(job.name, job.engine, job.recipe)])
    shutil.copytree(database.run_dir(job.id), rebuilt.run_dir(1))
    ingest(rebuilt, jobs.get_job(rebuilt, 1))

    assert stored(rebuilt, 1) == stored(database, job.id)
    assert jobs.get_job(rebuilt, 1).events_offset == jobs.get_job(database, job.id).events_offset
    rebuilt.close()


def test_a_second_time_nothing_happens(database: Database) -> None:
    job = evaluated(database)
    regrade(database, job.id)
    size = (database.run_dir(job.id) / "events.jsonl").stat().st_size
    history = results.list_transitions(database, job.id)
    again = regrade(database, job.id)

    assert not again.is_due
    assert again.changed == 0
    assert (database.run_dir(job.id) / "events.jsonl").stat().st_size == size
    assert results.list_transitions(database, job.id) == history


def test_a_dry_run_stores_nothing(database: Database) -> None:
    job = evaluated(database)
    before = stored(database, job.id)
    found = regrade(database, job.id, dry_run=True)

    assert found.is_due
    assert found.flips["strict"].now == 0.25
    assert stored(database, job.id) == before


def test_versions_that_differ_are_refused_until_both_are_graded_again(database: Database) -> None:
    old, new = evaluated(database, "old"), evaluated(database, "new", VERSION)
    refused = comparison.compare(database, [old.id, new.id]).verdicts[0].text
    assert refused == (
        f"not comparable: the version of the graders differs ({VERSION - 1} and {VERSION}); "
        "`tunedeck regrade` grades stored completions again"
    )
    regrade(database, old.id)

    assert not comparison.compare(database, [old.id, new.id]).verdicts[0].refused


def test_a_job_that_runs_is_refused(database: Database) -> None:
    job = evaluated(database, finished=False)
    with pytest.raises(StoreError, match=rf"job {job.id} \(a\): is starting\nhint: wait until it has ended"):
        regrade(database, job.id)


def test_a_job_without_all_of_its_completions_is_refused(database: Database) -> None:
    job = evaluated(database)
    path = database.run_dir(job.id) / "events.jsonl"
    other = protocol(VERSION) | {"questions": 9}
    line = {"kind": "score", "name": "strict", "value": 0.5, "fields": {"n": 9, "protocol": other}}
    path.write_text(path.read_text() + json.dumps(line) + "\n")
    ingest(database, job)

    with pytest.raises(StoreError, match="has completions of 4 of 9 questions"):
        regrade(database, job.id)


def test_events_that_nobody_has_recorded_yet_are_not_passed_over(database: Database) -> None:
    job = evaluated(database)
    writer = EventWriter(database.run_dir(job.id))
    writer.message("late")
    writer.close()

    with pytest.raises(StoreError, match="has events that are not recorded yet\nhint: `tunedeck up`"):
        regrade(database, job.id)


def test_half_a_line_of_a_killed_worker_is_counted_and_passed_over(database: Database) -> None:
    job = evaluated(database)
    with (database.run_dir(job.id) / "events.jsonl").open("ab") as file:
        file.write(b'{"kind": "exam')
    regrade(database, job.id)
    after = jobs.get_job(database, job.id)

    assert values(database, job.id)["strict"] == 0.25
    assert after.unreadable_lines == 1
    assert after.events_offset == (database.run_dir(job.id) / "events.jsonl").stat().st_size


@pytest.mark.parametrize("kept", [0.3, 0.8, 1.0])
def test_a_regrading_that_was_cut_short_is_outdone_by_the_next(
    database: Database, tmp_path: Path, kept: float
) -> None:
    job = evaluated(database)
    path = database.run_dir(job.id) / "events.jsonl"
    before = path.read_bytes()
    shutil.copytree(database.home, tmp_path / "twin")
    twin = open_database(tmp_path / "twin")
    regrade(twin, job.id)
    added = (twin.run_dir(job.id) / "events.jsonl").read_bytes()[len(before) :]
    path.write_bytes(before + added[: int(kept * len(added))])
    regrade(database, job.id)
    assert values(database, job.id)["strict"] == 0.25
    assert jobs.get_job(database, job.id).events_offset == path.stat().st_size

    rebuilt = open_database(tmp_path / "other")
    lifecycle.enqueue(rebuilt, "x", [NewJob(job.name, job.engine, job.recipe)])
    shutil.copytree(database.run_dir(job.id), rebuilt.run_dir(1))
    ingest(rebuilt, jobs.get_job(rebuilt, 1))
    assert stored(rebuilt, 1) == stored(database, job.id)
    for one in (twin, rebuilt):
        one.close()


def test_a_missing_run_directory_is_said(database: Database) -> None:
    job = evaluated(database)
    shutil.rmtree(database.run_dir(job.id))
    with pytest.raises(StoreError, match="its run directory is gone"):
        regrade(database, job.id)


def test_events_that_cannot_be_read_are_said(database: Database) -> None:
    job = evaluated(database)
    path = database.run_dir(job.id) / "events.jsonl"
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match=r"events\.jsonl: cannot be read: Is a directory"):
        regrade(database, job.id)


def test_examples_without_their_completions_are_refused(database: Database) -> None:
    job = evaluated(database)
    path = database.run_dir(job.id) / "events.jsonl"
    fields = {"example_id": "q0", "sample": 0, "strict": True, "robust": True}
    path.write_text(
        path.read_text() + json.dumps({"kind": "example", "key": "q0/0", "fields": fields}) + "\n"
    )
    ingest(database, job)
    with pytest.raises(StoreError, match="its examples have no 'completion', so they cannot be graded"):
        regrade(database, job.id)


def test_the_command_shows_before_and_now_and_names_the_flips(database: Database) -> None:
    job = evaluated(database)
    done = CliRunner().invoke(
        command, [str(job.id), "-v", "--grader", "strict"], catch_exceptions=False, standalone_mode=False
    )

    assert done.return_value == 0
    row = next(line for line in done.stdout.splitlines() if "strict" in line and "%" in line)
    assert row.split() == [str(job.id), "a", "strict", "0.0%", "25.0%", "1", "0"]
    assert f"job {job.id}, strict, wrong to right: q0/0" in done.stdout
    assert "tpt_strict" not in done.stdout
    assert values(database, job.id)["tpt_strict"] == 0.25


def test_the_command_goes_on_after_a_job_that_is_refused(database: Database) -> None:
    good, bad = evaluated(database, "good"), evaluated(database, "bad", finished=False)
    done = CliRunner().invoke(
        command, [str(bad.id), str(good.id), "--json"], catch_exceptions=False, standalone_mode=False
    )

    assert done.return_value == 1
    assert f"error: job {bad.id} (bad): is starting" in done.stderr
    (said,) = json.loads(done.stdout)
    assert (said["job"], said["stored"], said["graders"]["robust"]["now"]) == (good.id, True, 0.75)


def test_a_whole_experiment_is_graded_at_once(database: Database) -> None:
    job = evaluated(database)
    done = CliRunner().invoke(command, ["-e", "x", "--dry-run"], catch_exceptions=False)

    assert "nothing is stored" in done.stderr
    assert values(database, job.id)["strict"] == 0.0
