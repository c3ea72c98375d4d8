"""What sets two models apart: keys of recipes along the lineage, code and packages."""

import subprocess
from pathlib import Path
from typing import Any

from cockpit.job_diff import job_differences, recipe_changes
from store import jobs, lifecycle
from store.database import Database
from store.lifecycle import NewJob


def two_models(database: Database, **rates: float) -> list[int]:
    """For each rate a training and the evaluation of its model. Returns the evaluations."""
    new = []
    for name, rate in rates.items():
        new.append(NewJob(name, "sft", {"engine": "sft", "optim": {"learning_rate": rate}, "seed": 1}))
        recipe = {"engine": "eval", "model": {"from": name}, "seed": 1}
        new.append(NewJob(f"{name}/eval", "eval", recipe, ((name, name),)))
    _, ids = lifecycle.enqueue(database, "demo", new)
    return ids[1::2]


def test_recipes_differ_in_dotted_keys_along_the_lineage(database: Database) -> None:
    first, second = (jobs.get_job(database, i) for i in two_models(database, low=1e-5, high=1e-3))
    evaluations, models = job_differences(database, first, second)

    assert [(c.key, c.before, c.after) for c in evaluations.changes] == [("model.from", "low", "high")]
    assert models.title == "model: job 1 (low) and job 3 (high)"
    assert [(c.key, c.before, c.after) for c in models.changes] == [("optim.learning_rate", "1e-05", "0.001")]
    assert not models.origins


def test_a_key_that_one_recipe_lacks_and_a_job_against_itself(database: Database) -> None:
    changes = recipe_changes({"a": {"b": None}}, {"a": {"b": None, "c": [1]}})

    assert [(c.key, c.before, c.after) for c in changes] == [("a.c", "absent", "[1]")]
    job = jobs.get_job(database, two_models(database, x=1.0)[0])
    assert job_differences(database, job, job) == []


def test_a_model_from_another_job_against_one_from_nowhere_is_told(database: Database) -> None:
    [trained] = two_models(database, full=1e-3)
    _, [base] = lifecycle.enqueue(database, "demo", [NewJob("base", "eval", {"model": {"base": "pocket"}})])
    found = job_differences(database, jobs.get_job(database, base), jobs.get_job(database, trained))

    assert found[1].title == "model: only the second takes it from another job, 1 (full, sft)"


def test_code_differs_by_commit_and_by_what_was_not_committed(database: Database, tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments]
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    ids = []
    for number, text in enumerate(("one\n", "one\ntwo\n")):
        (tmp_path / "model.py").write_text(text)
        git("add", ".")
        git("commit", "-qm", text.strip())
        origin: dict[str, Any] = {
            "git_commit": git("rev-parse", "HEAD"), "git_patch": f"+changed {number}", "cwd": str(tmp_path),
            "python": f"3.1{number}.0",
        }  # fmt: skip
        new = [NewJob("eval", "eval", {"engine": "eval"})]
        ids.append(lifecycle.enqueue(database, "demo", new, provenance=origin)[1][0])
    [section] = job_differences(database, *(jobs.get_job(database, i) for i in ids))

    assert any(said.startswith("code ") for said in section.origins)
    assert "python 3.10.0 -> 3.11.0" in section.origins
    assert any("model.py" in line for line in section.patch)
    assert {"-+changed 0", "++changed 1"} <= set(section.patch)
