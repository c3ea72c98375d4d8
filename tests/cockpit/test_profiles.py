"""Slurm profiles by name: a recipe that names another one is refused before anything is queued."""

from pathlib import Path

import pytest

from cockpit.profiles import names_in
from cockpit.submission import submit
from cockpit.waiting import explain_wait
from engines.recipe.errors import RecipeError
from store import jobs, machine, paths, slurm
from store.database import Database


def recipe(tmp_path: Path, profile: str) -> Path:
    path = tmp_path / f"{profile}.yaml"
    path.write_text(f"engine: command\nargv: ['true']\nresources: {{slurm: {profile}}}\n")
    return path


def test_a_recipe_for_a_profile_that_is_not_there_is_refused_before_anything_is_queued(
    database: Database, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="no profile `a10`; there is none") as bare:
        submit(database, recipe(tmp_path, "a10"))
    assert str(paths.config(database.home)) in bare.value.hint
    paths.config(database.home).write_text("slurm: {profiles: {a100: {partition: gpu}}}\n")
    assert names_in(database.home) == ["a100"]
    with pytest.raises(RecipeError, match="there are: a100") as other:
        submit(database, recipe(tmp_path, "a10"))

    assert other.value.hint == "did you mean `a100`?"
    assert jobs.list_jobs(database) == []


def test_a_job_for_a_profile_that_the_running_daemon_does_not_know_says_so(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.config(database.home).write_text("slurm: {profiles: {new: {partition: gpu}}}\n")
    _, [job_id], _ = submit(database, recipe(tmp_path, "new"))
    machine.announce(database, 1, [])
    slurm.publish(database, {"old": 2}, None)
    job = jobs.get_job(database, job_id)
    monkeypatch.setattr(machine, "daemon_is_running", lambda home: True)

    assert (job.slurm, job.recipe["resources"]["slurm"]) == ("new", "new")
    assert "it wants the Slurm profile `new`, and the daemon that runs knows: `old`" in explain_wait(
        database, job
    )
    slurm.publish(database, {"new": 2}, "no route")
    assert explain_wait(database, job) == "Slurm does not answer: no route"
