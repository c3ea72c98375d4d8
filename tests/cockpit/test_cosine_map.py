"""What the gradients of a job's tasks do to each other, as it is written and as people see it."""

import pytest

from cockpit.cosine_map import read_cosine_map
from cockpit.report.heat_svg import heat_svg, of_cosines

HEADER = "step,row,column,cosine,corrected\n"
ROWS = (
    "40,math,math,1.000000,\n"
    "40,math,code,-0.420000,-0.810000\n"
    "40,code,math,-0.420000,-0.810000\n"
    "40,code,code,1.000000,\n"
)


@pytest.fixture
def training(bench, database):
    """A running job of several tasks and where its cosines go."""
    bench.enqueue("pcgrad", engine="mtl_ppo")
    directory = database.run_dir(bench.start())
    directory.mkdir(parents=True, exist_ok=True)
    return directory / "cosines.csv"


def test_it_is_read_with_and_without_the_noise_and_torn_lines_are_passed_over(tmp_path):
    (tmp_path / "cosines.csv").write_text(HEADER + ROWS + "40,code,log")
    found = read_cosine_map(tmp_path)
    assert (found.step, found.tasks) == (40, ("math", "code"))
    assert found.cosines["math", "code"] == -0.42 and found.corrected == {
        ("math", "code"): -0.81,
        ("code", "math"): -0.81,
    }
    assert read_cosine_map(tmp_path / "nowhere") is None
    (tmp_path / "cosines.csv").write_text(HEADER)
    assert read_cosine_map(tmp_path) is None


def test_it_is_drawn_without_its_diagonal(tmp_path):
    (tmp_path / "cosines.csv").write_text(HEADER + ROWS)
    drawn = heat_svg(of_cosines(7, read_cosine_map(tmp_path)))
    assert drawn.count("-42") == 2 and "+100" not in drawn and "step 40" in drawn


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_it_appears_and_changes_in_the_results_while_the_job_runs(visit, bench, training, size):
    async def look(person):
        await person.sees("● running")
        await person.press("enter", "5")
        await person.sees("No scores and no files yet")
        training.write_text(HEADER + ROWS.replace("-0.810000", ""))
        await person.sees("Gradients of the tasks", "step 40", "-42▒")
        training.write_text(HEADER + ROWS.replace("40,", "45,").replace("-0.42", "0.13"))
        await person.sees("step 45", "+13", "Without the noise", "-81▓")

    visit(look, size)
