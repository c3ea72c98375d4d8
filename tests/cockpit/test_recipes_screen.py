from store import jobs

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
        await person.sees("b: 1 job queued")

    visit(look)
    assert [job.name for job in jobs.list_jobs(database)] == ["b"]
