"""The list of recipes, and the form."""

from pathlib import Path

RECIPE = """\
# Says hello, then good-bye to whoever listens
name: hello
jobs:
  one: {engine: command, argv: [echo, hello]}
  two:
    engine: command
    argv: [echo, good-bye]
    needs: [one]
    matrix: {timeout: [60, 3600]}
"""
WRONG = """\
name: wrong
jobs:
  one: {engine: comand, argv: [echo, hello]}
  two: {engine: command, argv: [], needs: [three]}
"""


def recipes(database):
    """Those of the current directory and own ones; none come with this Tunedeck."""
    Path("hello.yaml").write_text(RECIPE)
    Path("wrong.yaml").write_text(WRONG)
    (database.home / "recipes").mkdir()
    (database.home / "recipes" / "a-copy-with-quite-a-long-name-of-its-own.yaml").write_text(RECIPE)


def test_recipes(play, database):
    recipes(database)

    async def look(person):
        await person.press("n", "j")
        await person.sees("Says hello")
        await person.shot("list")
        await person.press("s")
        await person.sees("Queue 3 jobs")
        await person.shot("submit")
        await person.press("n", "j")
        await person.sees("This recipe has mistakes")
        await person.shot("mistakes")
        await person.press("s")
        await person.sees("cannot be submitted")
        await person.shot("refused")
        await person.press("slash")
        await person.type("nobody")
        await person.shot("nothing found")
        await person.press("escape")

    play(look)


def test_no_recipes(play):
    async def look(person):
        await person.press("n")
        await person.sees("No recipe here")
        await person.shot("empty")

    play(look)


def test_the_form_of_a_recipe(play, database):
    recipes(database)

    async def look(person):
        await person.press("n", "j")
        await person.sees("Says hello")
        await person.press("e")
        await person.sees("3 jobs")
        await person.shot("fields")
        await person.press("right", "slash")
        await person.type("timeout")
        await person.press("enter")
        await person.shot("of the matrix")
        await person.press("escape", "left", "slash")
        await person.type("timeout")
        await person.press("enter", "enter", "ctrl+u")
        await person.type("-5")
        await person.sees("✗")
        await person.shot("wrong")
        await person.press("ctrl+u")
        await person.type("90")
        await person.sees("✓ 3 jobs")
        await person.press("enter")
        await person.shot("changed")
        await person.press("escape", "escape")

    play(look)
