"""Verbs of engines, from the command line to the process that carries them out."""

import os
import subprocess
import sys

import pytest

RECIPE = "engine: step_jepa\nmodel: {base: pocket}\ntask: pocket-math\ntrain_samples: 12\n"


@pytest.fixture
def tunedeck(home, tmp_path):
    def run(*arguments, **environment):
        (tmp_path / "r.yaml").write_text(RECIPE)
        return subprocess.run(
            [sys.executable, "-P", "-m", "cockpit", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=120,
            env=os.environ | {"COLUMNS": "80", "LANG": "C.UTF-8"} | environment,
        )

    return run


def test_show_mask_shows_an_example_of_a_recipe_in_plain_ascii_where_asked(tunedeck):
    done = tunedeck(
        "engine", "step_jepa", "show-mask", "r.yaml", "-k", "2", "--example", "1", TUNEDECK_ASCII="1"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pocket-math-train-") and "\nK=2: " in done.stdout
    assert done.stdout.isascii() and "P1|[P2]" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "engine `nothing` does not exist"),
        (["step_jepa"], "needs a verb; its verbs are: show-mask, coverage"),
        (["step_jepa", "dance", "r.yaml"], "no verb `dance`"),
        (["step_jepa", "coverage", "no.yaml"], "no such file"),
    ],
)
def test_what_is_asked_wrongly_is_said_with_a_hint_and_ends_with_2(tunedeck, arguments, said):
    done = tunedeck("engine", *arguments)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


def test_help_lists_the_verbs(tunedeck):
    assert "step_jepa show-mask" in tunedeck("engine").stdout


def test_the_exit_code_and_the_words_of_the_other_process_are_those_of_the_command(tunedeck):
    done = tunedeck("engine", "step_jepa", "show-mask", "r.yaml", "--example", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no training example `x`\nhint: give a number from 0 to 11" in done.stderr
