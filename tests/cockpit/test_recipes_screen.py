import time

from engines.recipe.expand import load_recipe
from store import jobs, lifecycle, results

RECIPE = """\
# Says hello, twice
name: hello
jobs:
  one: {engine: command, argv: [echo, "[bold]hi[/]"]}
  two: {engine: command, argv: [echo, bye], needs: [one]}
"""


def test_a_recipe_is_previewed_and_submitted(visit, database, tmp_path, monkeypatch):
    (tmp_path / "hello.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)

    async def look(person):
        await person.sees("No jobs yet")
        await person.press("n")
        await person.sees(
            "./hello.yaml", "2 jobs  Says hello, twice", "after one", "[bold]hi[/]", "smoke/command"
        )
        await person.press("s")
        await person.sees("Queue 2 jobs of hello?", "no past runs to estimate the time from")
        await person.press("y")
        await person.sees("hello: 2 jobs queued", "○ queued", "◌ blocked")

    visit(look)
    assert [job.name for job in jobs.list_jobs(database)] == ["one", "two"]


def test_a_recipe_with_mistakes_says_what_they_are_and_is_not_queued(visit, database, tmp_path, monkeypatch):
    (tmp_path / "wrong.yaml").write_text("engine: comand\nargv: [true]\n")
    (tmp_path / "notes.yaml").write_text("shopping: [milk]\n")
    monkeypatch.chdir(tmp_path)

    async def look(person):
        await person.sees("No jobs yet")
        await person.press("n")
        await person.sees("./wrong.yaml", "This recipe has mistakes", "comand", "hint")
        assert "notes.yaml" not in person.text
        await person.press("s")
        await person.sees("cannot be submitted")

    visit(look)
    assert jobs.list_jobs(database) == []


def test_enter_right_after_moving_submits_what_is_highlighted(visit, database, tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text("engine: command\nargv: [echo, a]\n")
    (tmp_path / "b.yaml").write_text("engine: command\nargv: [echo, b]\n")
    monkeypatch.chdir(tmp_path)

    async def look(person):
        await person.press("n")
        await person.sees("./a.yaml")
        await person.press("down", "enter")
        await person.sees("Queue 1 job of b?")
        await person.press("n")
        await person.no_longer_sees("Queue 1 job of b?")
        await person.press("enter")
        await person.sees("Queue 1 job of b?")
        await person.press("y")
        await person.sees("b: 1 job queued")

    visit(look)
    assert [job.name for job in jobs.list_jobs(database)] == ["b"]


FORM = """\
# Two lengths
name: sweep
defaults: {device: cpu}
jobs:
  train: {engine: sft, model: pocket-is-wrong-here, task: pocket-math}
"""


def test_fields_are_explained_checked_as_they_are_typed_and_submitted_as_changes(
    visit, database, tmp_path, monkeypatch, bench
):
    (tmp_path / "sweep.yaml").write_text(FORM.replace("pocket-is-wrong-here", "{base: pocket}"))
    monkeypatch.chdir(tmp_path)
    for seconds in (60, 120, 300):
        [job] = bench.enqueue("old")
        lifecycle.claim(database, 99, [])
        lifecycle.mark_running(database, job, {"started_at": time.time() - seconds, "pid": 1})
        bench.finish(job)

    async def look(person):
        await person.press("n")
        await person.sees("./sweep.yaml", "about 2m 00s (1m 00s to 5m 00s), 3", "same engine and model")
        await person.press("e")
        await person.sees("job train (1 of 1", "model.base", "✓ 1 job")
        assert "pocket" in person.line("model.base ")
        await person.press("slash", *"passes over", "enter")
        await person.sees("num_train_epochs   number > 0 <= 1000   default 2.0", "Passes over the examples.")
        await person.press("enter", "end", *["backspace"] * 3, *"-1")
        await person.sees("✗", "jobs.train.num_train_epochs: should be greater than 0 (it is -1)")
        await person.press("enter")
        assert "1 changed" not in person.text
        await person.press(*["backspace"] * 2, "5", "enter")
        await person.sees("● num_train_epochs", "1 changed", "✓ 1 job")
        await person.press("w")
        await person.sees("Written:")
        await person.press("s")
        await person.sees("Queue 1 job of sweep?", "about 2m 00s one after the other (1m 00s to 5m")
        await person.press("y")
        await person.sees("sweep: 1 job queued")

    visit(look)
    [job] = [job for job in jobs.list_jobs(database) if job.name == "train"]
    assert (job.recipe["num_train_epochs"], job.recipe["device"]) == (5.0, "cpu")
    told = results.get_experiment(database, job.experiment_id).provenance
    assert told["overrides"] == ["jobs.train.num_train_epochs=5"]
    written = database.home / "recipes" / "sweep.yaml"
    assert written.read_text().startswith("# Two lengths\n")
    assert load_recipe(written).jobs[0].recipe.num_train_epochs == 5


def test_recipes_are_found_by_words_and_own_ones_come_first(visit, database):
    own = database.home / "recipes"
    own.mkdir()
    (own / "mine.yaml").write_text("# Greets a planet\nengine: command\nargv: [echo]\n")

    async def look(person):
        await person.press("n")
        await person.sees("~mine", "1 job  Greets a planet", "smoke/command")
        await person.press("slash", *"PLANET")
        await person.no_longer_sees("smoke/command")
        await person.press(*"x")
        await person.sees("No recipe has these words.")
        await person.press("backspace", "enter", "s")
        await person.sees("Queue 1 job of mine?")
        await person.press("n", "escape")
        await person.sees("smoke/command")

    visit(look)
