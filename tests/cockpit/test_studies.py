"""How far a steering job's studies are, as it writes it and as people see it."""

import json

import pytest

from cockpit.screens.study_text import study_lines
from cockpit.studies import read_studies

FIRST = {
    "study": "mean_difference", "role": "tested", "trials": 32, "finished": 8, "pruned": 3, "running": 8,
    "best_gain": None, "best_params": None,
}  # fmt: skip
LATER = {**FIRST, "finished": 16, "best_gain": 0.125, "best_params": {"layer": 2, "alpha": 0.0512}}
NULL = {**FIRST, "study": "random-0", "role": "null", "finished": 0, "pruned": 0, "best_gain": 0.0}


def test_a_file_that_is_not_there_or_something_else_has_no_studies(tmp_path):
    assert read_studies(tmp_path) == []
    for text in ("", "[{}]", "7", '[{"study": "a", "role": "null"}]'):
        (tmp_path / "studies.json").write_text(text)
        assert read_studies(tmp_path) == []
    assert study_lines([]) == []


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_the_studies_move_in_the_results_while_the_job_runs(visit, bench, database, size):
    bench.enqueue("search", engine="steering")
    directory = database.run_dir(bench.start())
    directory.mkdir(parents=True, exist_ok=True)

    async def look(person):
        await person.sees("● running")
        await person.press("enter", "5")
        await person.sees("No scores and no files yet")
        (directory / "studies.json").write_text(json.dumps([FIRST]))
        await person.sees("Studies", "finished", "8/32")
        (directory / "studies.json").write_text(json.dumps([LATER, NULL]))
        await person.sees("16/32", "+12.5%", "layer 2, alpha 0.0512", "means nothing")
        assert person.line("mean_difference").split()[1:5] == ["16/32", "3", "8", "+12.5%"]

    visit(look, size)
