"""Tables, plots and jobs as sentences, through the command line's own commands."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit.plain.plots import plot_in_words
from cockpit.plain.sentences import MOST_JOBS, jobs_in_words, rows_in_words
from cockpit.report.plots import Dot, Line, Panel, Plot
from store import jobs
from store.database import Database
from store.schema import Status

Tunedeck = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tunedeck(home: Path) -> Tunedeck:
    def run(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "cockpit", *arguments],
            capture_output=True, text=True, input=stdin, env=os.environ | {"TUNEDECK_PLAIN": "1"}, timeout=120,
        )  # fmt: skip

    return run


def test_a_row_is_said_with_its_columns_the_verdict_before_the_numbers_and_nothing_for_empty_cells() -> None:
    headers = ["against base", "grader", "difference", "95 %", "p", "", "verdict"]
    row = ["full", "strict", "+7.0 pp", "+3.9..+10.1", "< 0.0001", "", "better"]
    assert rows_in_words(headers, [row]) == [
        "full against base, verdict better, grader strict, difference +7.0 points, 95 percent interval +3.9 to +10.1, p under 0.0001"
    ]
    assert rows_in_words(["job", "time"], [["\x1b[31m1", "1m 05s"]]) == ["job 1, time 1 minute 5 seconds"]
    assert rows_in_words(["a"], []) == []


def test_a_plot_is_said_line_by_line() -> None:
    dots = [Dot(256, 0.237, 0.2, 0.3), Dot(2048, 0.82, 0.8, 0.9)]
    panel = Panel("strict accuracy", [Line("full", dots), Line("none", [])], [("base", 0.01)])
    plot = Plot("samples", "t", "training samples", "seeds", [panel])
    assert [cells[0][0] for cells in plot_in_words(plot)] == [
        "strict accuracy against training samples, in numbers.",
        "full, at 256: 23.7%, at 2048: 82.0%.",
        "none has no values yet.",
        "base, wherever on the axis: 1.0%.",
    ]


def test_what_is_narrated_stays_out_of_what_programs_read(bench: Any, tunedeck: Tunedeck) -> None:
    bench.enqueue("“quoted”", engine="eval")
    bench.start()
    bench.score(1, [True])
    bench.finish(1)
    found = tunedeck("report", "demo", "--x", "trained_tokens", "--json")
    assert json.loads(found.stdout)["experiment"] == "demo"
    assert "no plot against trained tokens" in found.stderr


def test_jobs_are_listed_by_what_matters_and_no_more_than_one_can_listen_to(
    bench: Any, database: Database
) -> None:
    bench.enqueue(*(f"cell-{number}" for number in range(MOST_JOBS + 5)))
    bench.finish(bench.start(), Status.FAILED, "out of memory")
    bench.train(bench.start(), 1, 40)
    rows = jobs.list_jobs(database)
    said = jobs_in_words(database, rows, None)
    assert said[0].startswith("job 2, running, cell-1, step 40 of 100, loss 0.6272, 1 minute ")
    assert said[1] == "job 3, queued, cell-2, of demo"
    assert said[-1] == "and 5 more: jobs -n 25 lists all" and len(said) == MOST_JOBS + 1
    assert jobs_in_words(database, rows, 25)[-1] == "job 1, failed, cell-0, out of memory, of demo"


def test_comparisons_examples_and_kinds_of_mistakes_are_sentences(bench: Any, tunedeck: Tunedeck) -> None:
    bench.enqueue("base", "full", engine="eval")
    for every in (4, 1):
        number = bench.start()
        bench.score(number, [index % every == 0 for index in range(40)])
        bench.finish(number)
    done = tunedeck(
        "--read-only",
        stdin="compare 1 2\nexamples 2 --versus 1 -n 1\nanalyze 1 2\nreport demo\ncompare 1 2 --markdown\n",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    for said in (
        "model full, job 2, questions 40, strict 100.0%, 95 percent interval 90.0% to 100.0%",
        "full against base, verdict better, grader strict, difference +75.0 points",
        "\ntest-1/0\nWhat is 1 + 1?\ngold: 2\njob 2: right, extracted 2\nIt is 2.\njob 1: wrong, extracted 1\n",
        "model base, job 1, questions 40, strict 25.0%",
        "demo: ",
        "| full | 2 | 40 | 100.0% |",
    ):
        assert said in done.stdout, (said, done.stdout)


def test_the_variable_makes_every_command_speak_and_leaves_data_alone(bench: Any, tunedeck: Tunedeck) -> None:
    bench.enqueue("tw  o ✓")
    assert tunedeck("jobs").stdout == "job 1, queued, tw o (check mark), of demo\n"
    [row] = json.loads(tunedeck("jobs", "--json").stdout)
    assert row["name"] == "tw  o ✓"
    refused = tunedeck("--plain", "jobs")
    assert (refused.returncode, "leave the command out" in refused.stderr) == (2, True)
    assert tunedeck("show", "9").returncode == 1
