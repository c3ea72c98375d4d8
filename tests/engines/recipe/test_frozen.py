"""Where a job runs beside where it was submitted."""

import json
from pathlib import Path

from engines.events import EventWriter
from engines.recipe.frozen import RECORD, environment_file, look_around
from engines.recipe.schemas import recipe_class
from engines.recipe.surroundings import differences, installed, name_of, shortened, surroundings

RECIPE = recipe_class("sft").model_validate(
    {"engine": "sft", "model": {"base": "pocket"}, "task": "pocket-math"}
)


def looked(run_dir: Path, submitted: dict[str, object]) -> list[str]:
    """The messages of a worker that looks around in a run directory."""
    run_dir.mkdir(parents=True)
    (run_dir / "provenance.json").write_text(json.dumps(submitted))
    events = EventWriter(run_dir)
    look_around(RECIPE, run_dir, events)
    events.close()
    return [json.loads(line)["text"] for line in (run_dir / "events.jsonl").read_text().splitlines()]


def test_a_worker_notes_where_it_runs_and_says_nothing_when_that_is_what_was_submitted(
    tmp_path: Path,
) -> None:
    here = surroundings()
    said = looked(tmp_path / "runs" / "1", here | {"cwd": "/", "environment": name_of(here["packages"])})

    assert said == []
    assert json.loads((tmp_path / "runs/1" / RECORD).read_text()) == here
    assert any(line.startswith("pydantic==") for line in here["packages"])


def test_another_environment_is_a_message_and_no_error(tmp_path: Path) -> None:
    packages = [line for line in installed() if not line.startswith("pydantic==")] + [
        "pydantic==0.1",
        "zzz==1",
    ]
    path = environment_file(tmp_path, name_of(packages))
    path.parent.mkdir()
    path.write_text("\n".join(packages) + "\n")
    [said] = looked(tmp_path / "runs" / "1", {"cwd": "/", "python": "2.7", "environment": name_of(packages)})

    assert said.startswith("runs elsewhere than it was submitted: python 2.7 -> 3.")
    assert "pydantic 0.1 -> " in said
    assert "zzz 1 -> (absent)" in said


def test_differences_leave_out_what_nobody_knows_and_are_cut_to_a_line() -> None:
    assert differences({"driver": None, "python": "3"}, {"driver": "580.1", "python": "3"}) == []
    assert shortened([str(i) for i in range(14)]).endswith("11 and 2 more")


def test_the_list_of_packages_is_in_order_and_names_each_once() -> None:
    names = [line.partition("==")[0] for line in installed()]

    assert names == sorted(names)
    assert len(names) == len(set(names))
