"""Heat maps of a matrix over two fields."""

import json
import random
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from cockpit.cli.report import report as command
from cockpit.report.contents import build
from cockpit.report.text import markdown

RECIPE = """
name: map
defaults: {model: {base: pocket}, task: pocket-math}
jobs:
  arm: {engine: sft, eval: true, matrix: {max_length: [8, 16, 128], weight_decay: [0.5, 2], seed: [1, 2]}}
"""


def answers(share, n, seed):
    draw = random.Random(f"{share} {seed}")
    return [draw.random() < share for _ in range(n)]


@pytest.fixture
def mapped(lab):
    """Right answers grow with the length, and are fewer at the larger decay; one cell is missing."""
    for job in lab.submit(RECIPE):
        trained = job.recipe.get("max_length")
        if job.engine == "eval":
            name = job.name.partition("[")[2].partition("]")[0]
            cell = dict(pair.split("=") for pair in name.split(","))
            if (cell["max_length"], cell["weight_decay"]) == ("128", "2"):
                continue
            share = {"8": 0.1, "16": 0.4, "128": 0.9}[cell["max_length"]] / (
                1 + (cell["weight_decay"] == "2")
            )
            lab.evaluate(job, answers(share, 200, cell["seed"]))
        else:
            assert trained
        lab.end(job)


def test_a_matrix_over_two_fields_becomes_a_map_of_means_in_the_order_of_the_numbers(mapped, database):
    [grid] = build(database, "map").grids
    assert (grid.row_field, grid.column_field) == ("max_length", "weight_decay")
    assert (grid.rows, grid.columns) == (["8", "16", "128"], ["0.5", "2"])
    values = grid.values("strict")
    assert len(values) == 5
    assert values["128", "0.5"] == pytest.approx(0.9, abs=0.06)
    assert values["128", "0.5"] > values["16", "0.5"] > values["16", "2"] > values["8", "2"]
    assert all(len(point.models) == 2 for point in grid.cells.values())


def test_the_map_is_shaded_on_the_terminal_in_markdown_and_in_ascii(mapped, database, monkeypatch):
    said = CliRunner().invoke(command, ["map"]).stdout
    title = "arm: strict accuracy by max_length (down) and weight_decay (across)"
    assert title in said
    part = said[said.index(title) :].splitlines()
    assert part[4].split()[0] == "128"
    assert "█" in part[4]
    assert "picked among 5 by this very score" in " ".join(said.split())
    assert "█" in markdown(build(database, "map"), {})
    monkeypatch.setenv("TUNEDECK_ASCII", "1")
    assert CliRunner().invoke(command, ["map"]).stdout.isascii()


def test_the_map_is_a_file_beside_a_markdown_report(mapped, tmp_path):
    CliRunner().invoke(command, ["map", "--out", str(tmp_path / "r.md")], catch_exceptions=False)
    drawn = ElementTree.parse(tmp_path / "r-map-arm-strict.svg").getroot()
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"arm: strict accuracy", "max_length", "weight_decay", "128", "0.5"} <= set(texts)
    assert sum(text.endswith("%") for text in texts) == 5
    assert "(<r-map-arm-strict.svg>)" in (tmp_path / "r.md").read_text()


def test_a_search_s_heat_map_is_drawn_beside_the_report(lab, database, tmp_path):
    [job] = lab.submit("{name: s, engine: command, argv: [echo]}")
    directory = database.run_dir(job.id)
    directory.mkdir(parents=True, exist_ok=True)
    header = "direction,layer,alpha,gold_nll_change,margin_change,significant"
    (directory / "heatmap.csv").write_text(
        f"{header}\nrandom,3,-0.1,0.1,-0.02,True\nrandom,3,0.1,0.1,0.01,False\n"
    )
    CliRunner().invoke(command, ["s", "--out", str(tmp_path / "r.md")], catch_exceptions=False)
    drawn = ElementTree.parse(tmp_path / f"r-heat-{job.id}-random.svg").getroot()
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"-20*", "+10", "3", "-0.1"} <= set(texts)


def test_the_cells_of_a_map_are_not_tested_against_each_other(mapped, database):
    assert build(database, "map").between_methods == []


def test_what_the_map_shows_is_in_the_json(mapped):
    [grid] = json.loads(CliRunner().invoke(command, ["map", "--json"]).stdout)["grids"]
    assert grid["rows"] == {"max_length": ["8", "16", "128"]}
    assert grid["strict"][2][1] is None
    assert grid["strict"][2][0] > grid["strict"][0][0]


def test_a_matrix_over_one_field_is_no_map(lab, database):
    for job in lab.sweep():
        if job.engine == "eval":
            lab.evaluate(job, answers(0.5, 50, job.name))
        lab.end(job)
    assert build(database, "sweep").grids == []
