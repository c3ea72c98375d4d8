"""A steering job's heat map, as it is written and as people see it."""

import pytest

from cockpit.heat_maps import read_heat_maps

HEADER = "direction,layer,alpha,gold_nll_change,margin_change,significant\n"
ROWS = (
    "mean_difference,0,-0.1,0.02,-0.004,False\n"
    "mean_difference,0,0.1,-0.01,0.002,False\n"
    "mean_difference,1,-0.1,0.2,-0.03,True\n"
    "mean_difference,1,0.1,-0.1,0.0421,True\n"
    "random,0,0.1,0.5,,False\n"
)


@pytest.fixture
def searching(bench, database):
    """A running steering job and where its heat map goes."""
    bench.enqueue("search", engine="steering")
    job_id = bench.start()
    directory = database.run_dir(job_id)
    directory.mkdir(parents=True, exist_ok=True)
    return directory / "heatmap.csv"


def test_each_direction_is_a_map_of_margins_or_where_there_are_none_of_gold_solutions(tmp_path):
    (tmp_path / "heatmap.csv").write_text(HEADER + ROWS)
    margin, gold = read_heat_maps(tmp_path)
    assert (margin.direction, margin.layers, margin.alphas) == ("mean_difference", (0, 1), (-0.1, 0.1))
    assert margin.values[1, 0.1] == 0.0421
    assert margin.significant == {(1, -0.1), (1, 0.1)}
    assert not gold.of_margin and gold.values == {(0, 0.1): -0.5}
    assert read_heat_maps(tmp_path / "nowhere") == []


def test_a_line_that_is_still_being_written_is_passed_over(tmp_path):
    (tmp_path / "heatmap.csv").write_text(HEADER + ROWS + "mean_diff")
    assert len(read_heat_maps(tmp_path)) == 2


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_the_map_appears_and_grows_in_the_results_while_the_job_runs(visit, bench, searching, size):
    async def look(person):
        await person.sees("● running")
        await person.press("enter", "5")
        await person.sees("No scores and no files yet")
        searching.write_text(HEADER + "mean_difference,0,0.1,-0.01,0.002,False\n")
        await person.sees("Heat map: mean_difference", "right texts against wrong ones", "+2")
        searching.write_text(HEADER + ROWS)
        await person.sees("+42*█", "-30*▓", "-4 ", "Heat map: random")
        assert "-0.1" in person.line("layer")

    visit(look, size)


def test_the_map_is_readable_in_ascii_and_without_colour(visit, bench, searching, monkeypatch):
    monkeypatch.setenv("TUNEDECK_ASCII", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    searching.write_text(HEADER + ROWS)

    async def look(person):
        await person.sees("search", "running")
        await person.press("enter", "5")
        await person.sees("+42*")

    visit(look)
