"""The report as people see it: on a terminal, in Markdown, as a plot."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from cockpit.cli.report import report as command
from cockpit.report import axes
from cockpit.report.chart import chart
from cockpit.report.contents import build
from cockpit.report.plots import against_budget
from cockpit.report.svg import svg
from cockpit.report.text import markdown
from store.database import Database, StoreError
from store.lifecycle import NewJob

SVG = "{http://www.w3.org/2000/svg}"
ROOT = Path(__file__).parents[3]


def shown(*arguments: str) -> str:
    return CliRunner().invoke(command, list(arguments), catch_exceptions=False).stdout


def drawn(database: Database, experiment: str) -> str:
    plot = against_budget(build(database, experiment), "samples")
    assert plot is not None
    return svg(plot)


def rows(text: str, title: str) -> list[list[str]]:
    """The rows of the table below a title, without its header."""
    _, _, rest = text.partition(f"\n{title}\n")
    return [line.split() for line in rest.split("\n\n")[0].splitlines()[1:]]


def test_the_terminal_shows_a_chart_and_tables_in_80_columns(swept: Database) -> None:
    text = shown("sweep")

    assert max(map(len, text.splitlines())) <= 80
    assert "● full   ■ other   ╌ base 0.0%   ╌ prep" in text
    assert any("●" in line and line[6] in "┤│" for line in text.splitlines())
    assert [row[0] for row in rows(text, "Accuracy")[:2]] == ["base", "prep"]
    assert ["full", "256", "prep"] in [
        row[:3] for row in rows(text, "Against the model it started from: strict")
    ]
    assert any(line.startswith("other 256 against full 256, robust: worse (") for line in text.splitlines())
    assert "\x1b" not in text


def test_another_axis_can_be_chosen(swept: Database) -> None:

    assert "robust accuracy against generated tokens" in shown(
        "sweep", "--x", "generated_tokens", "--grader", "robust"
    )


def test_an_axis_without_data_is_said_and_the_rest_is_shown(database: Database, lab: Any) -> None:
    for job in lab.sweep(budgets=[8], seeds=[1]):
        if job.engine == "eval":
            lab.evaluate(job, [True, False] * 20)
        lab.end(job)
    done = CliRunner().invoke(command, ["sweep", "--x", "seconds"], catch_exceptions=False)

    assert done.exit_code == 0
    assert "no plot against seconds of training: no job reports them; known: samples" in done.stderr
    assert rows(done.stdout, "Accuracy")


@pytest.mark.parametrize(
    "variable", [{"TUNEDECK_ASCII": "1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}]
)
def test_a_terminal_of_ascii_gets_ascii(swept: Database, variable: dict[str, str]) -> None:
    code = "from cockpit.__main__ import main; import sys; sys.argv = ['tunedeck', 'report', 'sweep']; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | variable, capture_output=True, check=True
    )
    text = done.stdout.decode("ascii")

    assert "* full   # other" in text
    assert "- prep -" in text
    assert "?" not in text.partition("Accuracy\n")[0]


def test_json_is_json(swept: Database) -> None:

    assert len(json.loads(shown("sweep", "--json"))["points"]) == 8


def test_markdown_is_written_with_a_plot_for_every_axis(swept: Database, tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    done = CliRunner().invoke(command, ["sweep", "--out", str(out)], catch_exceptions=False)
    text = out.read_text()

    assert done.stdout == ""
    for axis in ("samples", "generated_tokens", "trained_tokens", "seconds"):
        assert f"](<report-{axis}.svg>)" in text
        ElementTree.parse(tmp_path / f"report-{axis}.svg")
    table = [line for line in text.splitlines() if line.startswith("| full 256 |")]
    assert "| better |" in table[1]
    # Every row of a table has as many cells as its header.
    for block in text.split("\n\n"):
        assert len({line.count(" | ") for line in block.splitlines() if line.startswith("|")}) <= 1


def test_the_plot_alone_is_written(swept: Database, tmp_path: Path) -> None:
    out = tmp_path / "plot.svg"
    shown("sweep", "--out", str(out), "--x", "seconds")

    assert "accuracy against seconds of training" in out.read_text()
    assert list(tmp_path.glob("*.md")) == []


def test_a_png_is_refused_with_a_way_out(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["sweep", "--out", str(tmp_path / "plot.png")])

    assert done.exit_code == 2
    assert "plots are written as SVG\nhint: name a .svg" in done.stderr


@pytest.mark.parametrize("name", ["report", "report.txt"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    assert (
        "the name must end in .md or .svg"
        in CliRunner().invoke(command, ["x", "--out", str(tmp_path / name)]).stderr
    )


def test_the_plot_has_both_graders_with_bands_curves_and_marks(swept: Database) -> None:
    picture = drawn(swept, "sweep")
    root = ElementTree.fromstring(picture)
    classes = [element.get("class", "") for element in root.iter()]

    assert [classes.count(f"s{i} {kind}") for kind in ("band", "curve") for i in (0, 1)] == [2, 2, 2, 2]
    assert classes.count("s0 whisker") == 6
    assert classes.count("reference") == 4
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {
        "strict accuracy",
        "robust accuracy",
        "full",
        "other",
        "prep",
        "64",
        "256",
        "training samples",
    } <= set(texts)
    assert "prefers-color-scheme:dark" in picture
    assert drawn(swept, "sweep") == picture


def test_what_costs_nothing_stands_apart_at_the_left(swept: Database) -> None:
    places = axes.across([0, 0, 6400, 12800, 25600])

    assert places.ticks == (0, 6400, 12800, 25600)
    assert (
        places.position(0) < 0.1 < places.position(6400) < places.position(12800) < places.position(25600) < 1
    )
    # Budgets that double are equally far apart.
    assert places.position(12800) - places.position(6400) == pytest.approx(
        places.position(25600) - places.position(12800)
    )


@pytest.mark.parametrize("budgets", [[0.0], [5.0], [0.0, 0.0], [3, 4], [1, 1e9], [2**i for i in range(12)]])
def test_any_budgets_have_an_axis(budgets: list[float]) -> None:
    places = axes.across(budgets)

    assert places.ticks
    assert all(0 <= places.position(value) <= 1 for value in budgets)


def test_the_rounds_of_a_tpt_job_are_drawn_too(database: Database, lab: Any, tmp_path: Path) -> None:
    (job,) = lab.enqueue("loop", NewJob("tpt", "tpt", {"seed": 1, "model": {"base": "pocket"}}))
    for number, strict in enumerate([0.2, 0.3, 0.5]):
        names = {"strict": strict, "robust": strict + 0.1, "pass@1": 0.5, "pass@8": 0.9, "maj@8": 0.7}
        scores = [lab.score(f"r{number}/{n}", v, n=50, low=v - 0.1, high=v + 0.1) for n, v in names.items()]
        lab.report(job, *scores)
    lab.end(job)
    text = shown("loop")
    shown("loop", "--out", str(tmp_path / "r.md"))
    root = ElementTree.parse(tmp_path / f"r-rounds-{job.id}.svg").getroot()
    texts = [element.text for element in root.iter(f"{SVG}text")]

    assert "accuracy against round, 95 % over questions" in text
    assert "● strict   ■ robust" in text
    assert [row[:4] for row in rows(text, f"Rounds of tpt (job {job.id})")] == [
        ["0", "20.0%", "10.0-30.0", "30.0%"],
        ["1", "30.0%", "20.0-40.0", "40.0%"],
        ["2", "50.0%", "40.0-60.0", "60.0%"],
    ]
    assert {"strict", "robust", "pass@8", "maj@8", "round", "0", "1", "2"} <= set(texts)
    classes = [element.get("class", "") for element in root.iter()]
    assert [classes.count(f"s{i} curve") for i in range(4)] == [1, 1, 1, 1]
    assert f"](<r-rounds-{job.id}.svg>)" in (tmp_path / "r.md").read_text()


def test_a_plot_that_was_asked_for_is_not_replaced_by_another(
    database: Database, lab: Any, tmp_path: Path
) -> None:
    (job,) = lab.enqueue("loop", NewJob("tpt", "tpt", {"seed": 1, "model": {"base": "pocket"}}))
    lab.report(job, lab.score("r0/strict", 0.5), lab.score("r1/strict", 0.6))
    out = tmp_path / "plot.svg"

    with pytest.raises(StoreError, match="loop: there is nothing to plot\nhint"):
        CliRunner().invoke(command, ["loop", "--x", "seconds", "--out", str(out)], catch_exceptions=False)
    assert not out.exists()
    shown("loop", "--out", str(out))
    assert "rounds of tpt" in out.read_text()


HOSTILE = 'a<b>&"\x1b[31m|`*_[x](y)​‮\x07'


@pytest.fixture
def hostile(database: Database, lab: Any) -> Callable[[], None]:
    def run() -> None:
        recipe = {"seed": 1, "train_samples": 8, "model": {"base": "pocket"}}
        jobs = lab.enqueue(
            HOSTILE,
            *(NewJob(f"{HOSTILE}[train_samples={n}]", "sft", recipe | {"train_samples": n}) for n in (8, 16)),
        )
        for job in jobs:
            lab.evaluate(job, [True, False] * 20)
            lab.end(job)

    return run


def test_names_with_markup_stay_text(database: Database, hostile: Callable[[], None]) -> None:
    hostile()
    report = build(database, "1")
    picture = drawn(database, "1")
    root = ElementTree.fromstring(picture)
    page, terminal = markdown(report, {}), shown("1")

    assert any(element.text and element.text.startswith('a<b>&"') for element in root.iter(f"{SVG}text"))
    assert {element.tag for element in root.iter()} <= {
        f"{SVG}{tag}"
        for tag in ("svg", "title", "style", "rect", "text", "line", "circle", "polygon", "polyline")
    }
    assert "<b>" not in page.replace("\\<b\\>", "")
    assert 'a\\<b\\>&"\\|\\`\\*\\_\\[x\\](y)' in page
    for text in (page, terminal, picture):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    plot = against_budget(report, "samples")
    assert plot is not None
    assert all(sum(len(text) for text, _ in line) <= 80 for line in chart(plot))


def test_a_large_table_is_cut_on_the_terminal_and_whole_in_markdown(database: Database, lab: Any) -> None:
    recipe = {"seed": 1, "model": {"base": "pocket"}}
    names = [NewJob(f"m{m:02}[train_samples=8]", "sft", recipe | {"train_samples": 8}) for m in range(12)]
    for job in lab.enqueue("many", *names):
        lab.evaluate(job, [True, False] * 5)
        lab.end(job)
    text = shown("many")

    assert "... and 26 more rows, which `--out report.md` and `--json` have" in text
    assert (
        markdown(build(database, "many"), {}).count("| m11 8 | m") == 33
    )  # strict, robust, and what the differences are made of


def test_rounds_without_numbers_are_shown_without_them(database: Database, lab: Any, tmp_path: Path) -> None:
    (job, empty) = lab.enqueue("odd", *(NewJob(name, "tpt", {"seed": 1}) for name in ("tpt", "empty")))
    nan = float("nan")
    against = {"difference": nan, "low": "a", "high": None, "p": 0.01}
    lab.report(
        job,
        lab.score("r0/strict", 0.5, low="nan", high="nan"),
        lab.score("r1/strict", nan, low=nan, high=nan, against_base=against),
        lab.score("r2/strict", 0.6, low=0.5, high=0.7, against_base={"difference": 0.1, "p": 0.01}),
    )
    lab.report(empty, lab.score("r0/pass@4", nan), lab.score("r1/strict", nan, against_base="none"))
    text = shown("odd")
    shown("odd", "--out", str(tmp_path / "r.md"))

    assert [row[:3] for row in rows(text, f"Rounds of tpt (job {job.id})")] == [
        ["0", "50.0%"],
        ["1"],
        ["2", "60.0%", "50.0-70.0"],
    ]
    assert [row[:3] for row in rows(text, f"Rounds of tpt (job {job.id}): against round 0")] == [
        ["2", "strict", "+10.0"]
    ]
    assert [path.name for path in tmp_path.glob("*.svg")] == [f"r-rounds-{job.id}.svg"]
