"""Made questions in the form of LiveBench's: webs of lies, spatial, typos, connections, unscrambling, tables."""

import json
import random
from itertools import pairwise
from typing import Any

Made = tuple[str, str, Any]
"""Kind, prompt and gold."""

_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Elif", "Finn", "Gus", "Hana", "Ivo", "June")
_SOLUTION = "Please put your answer within <solution> </solution>"
_GROUPS = {
    "fruit": ("apple", "pear", "plum", "fig", "lime"),
    "metal": ("iron", "copper", "zinc", "tin", "nickel"),
    "bird": ("robin", "heron", "finch", "wren", "owl"),
    "tool": ("hammer", "saw", "drill", "chisel", "pliers"),
    "river": ("nile", "rhine", "volga", "seine", "danube"),
}
_STORY = (
    "{a} finds a locked box in the attic.",
    "{a} asks {b} whether there is a key.",
    "{b} remembers a key under the old stove.",
    "Together they pull the stove from the wall.",
    "The key is there, red with rust.",
    "It breaks inside of the lock.",
    "{b} fetches a hammer and opens the lid.",
    "In the box lies a map of the garden.",
)
_TEXT = (
    "The committee has received the definite results of the experiment and will publish them separately in the next "
    "calendar month, because the government believes that the environment is necessary for the whole community."
)
_MISTAKES = {
    "committee": "comittee", "received": "recieved", "definite": "definate", "separately": "seperately",
    "calendar": "calender", "government": "goverment", "believes": "beleives", "environment": "enviroment",
    "necessary": "neccessary", "experiment": "experimant", "community": "comunity", "because": "becuase",
}  # fmt: skip


def made_reasoning(seed: int, difficulty: int) -> Made:
    """Who tells the truth, or which face of a turned die is up."""
    draw = random.Random(f"livebench_reasoning {seed}")
    return draw.choice((_web_of_lies, _spatial))(draw, difficulty)


def _web_of_lies(draw: random.Random, difficulty: int) -> Made:
    people = draw.sample(_NAMES, 4 + difficulty)
    honest = {person: draw.random() < 0.5 for person in people}
    first = people[0]
    told = [f"{first} {'tells the truth' if honest[first] else 'lies'}."]
    for before, person in pairwise(people):
        says_truth = honest[before] == honest[person]
        told.append(f"{person} says that {before} {'tells the truth' if says_truth else 'lies'}.")
    asked = draw.sample(people, 3)
    answer = ", ".join("yes" if honest[person] else "no" for person in asked)
    who = ", ".join(asked)
    return (
        "web_of_lies_v2",
        f"Everyone either always tells the truth or always lies. {' '.join(told)} Does each of these tell the truth: "
        f"{who}? {_SOLUTION} as a list of yes and no, as in <solution>yes, no, ...</solution>.",
        answer,
    )


def _spatial(draw: random.Random, difficulty: int) -> Made:
    faces = {"top": 1, "bottom": 6, "north": 2, "south": 5, "east": 3, "west": 4}
    turns = {
        "north": ("top", "north", "bottom", "south"),
        "south": ("top", "south", "bottom", "north"),
        "east": ("top", "east", "bottom", "west"),
        "west": ("top", "west", "bottom", "east"),
    }
    moves = [draw.choice(list(turns)) for _ in range(2 + 2 * difficulty)]
    for move in moves:
        ring = turns[move]
        values = [faces[side] for side in ring]
        for side, value in zip(ring, [values[-1], *values[:-1]], strict=True):
            faces[side] = value
    prompt = (
        "A die shows 1 on top, 6 at the bottom, 2 to the north, 5 to the south, 3 to the east and 4 to the west. It is "
        f"rolled over its edge to the {', then to the '.join(moves)}. Which number is on top now? {_SOLUTION}."
    )
    return "spatial", prompt, str(faces["top"])


def made_language(seed: int, difficulty: int) -> Made:
    """Typos to mend, words to group, sentences to put in order."""
    draw = random.Random(f"livebench_language {seed}")
    return draw.choice((_typos, _connections, _unscramble))(draw, difficulty)


def _typos(draw: random.Random, difficulty: int) -> Made:
    words = _TEXT.split()
    part = spoiled = words
    while spoiled == part:
        start = draw.randrange(len(words) // 2)
        part = words[start : start + 8 + 3 * difficulty]
        spoiled = [_MISTAKES.get(word, word) if draw.random() < 0.9 else word for word in part]
    prompt = (
        "Repeat this text with its misspellings mended and nothing else changed. "
        f"{_SOLUTION}.\n\n{' '.join(spoiled)}"
    )
    return "typos", prompt, " ".join(part)


def _connections(draw: random.Random, difficulty: int) -> Made:
    themes = draw.sample(list(_GROUPS), min(5, 2 + difficulty // 2))
    groups = [draw.sample(_GROUPS[theme], 4) for theme in themes]
    shown = [word for group in groups for word in group]
    draw.shuffle(shown)
    prompt = (
        f"Put these words into groups of four that have something in common: {', '.join(shown)}. "
        f"{_SOLUTION}, group after group, separated by commas."
    )
    return "connections", prompt, ", ".join(word for group in groups for word in group)


def _unscramble(draw: random.Random, difficulty: int) -> Made:
    first, second = draw.sample(_NAMES, 2)
    start = draw.randrange(0, len(_STORY) - 3)
    lines = [line.format(a=first, b=second) for line in _STORY[start : start + 4 + difficulty]]
    mixed = lines[:]
    while mixed == lines:
        draw.shuffle(mixed)
    prompt = (
        "These sentences tell a story in the wrong order. Put them in order, one a line. "
        f"{_SOLUTION}.\n\n" + "\n".join(mixed)
    )
    return "plot_unscrambling", prompt, "\n".join(lines)


def made_data_analysis(seed: int, difficulty: int) -> Made:
    """A table to write in another format, or columns of two tables to match."""
    draw = random.Random(f"livebench_data_analysis {seed}")
    return draw.choice((_reformat, _match))(draw, difficulty)


def _reformat(draw: random.Random, difficulty: int) -> Made:
    columns = ["name", *draw.sample(["age", "city", "score", "height", "team"], 1 + difficulty // 2)]
    rows = [
        {column: name if column == "name" else str(draw.randint(1, 99)) for column in columns}
        for name in draw.sample(_NAMES, 2 + difficulty)
    ]
    lines = [",".join(columns), *(",".join(row[column] for column in columns) for row in rows)]
    prompt = (
        "Convert this CSV table to JSON, as a list of one object a row with all values as strings. "
        f"{_SOLUTION}.\n\n" + "\n".join(lines)
    )
    return "tablereformat", prompt, json.dumps(rows)


def _match(draw: random.Random, difficulty: int) -> Made:
    kinds = {
        "e-mail": lambda: f"{draw.choice(_NAMES).lower()}@example.org",
        "year": lambda: str(draw.randint(1950, 2024)),
        "price": lambda: f"${draw.randint(1, 99)}.{draw.randint(10, 99)}",
        "fruit": lambda: draw.choice(_GROUPS["fruit"]),
        "metal": lambda: draw.choice(_GROUPS["metal"]),
        "person": lambda: draw.choice(_NAMES),
    }
    chosen = draw.sample(list(kinds), 2 + min(difficulty, 4))
    renamed = {
        kind: f"col_{letter}"
        for kind, letter in zip(chosen, draw.sample("abcdefgh", len(chosen)), strict=True)
    }
    shuffled = draw.sample(chosen, len(chosen))

    def table(names: list[str], order: list[str]) -> str:
        return "\n".join([",".join(names), *(",".join(kinds[kind]() for kind in order) for _ in range(3))])

    prompt = (
        "The columns of table A stand in table B under other names. Map every column of A to that of B as a JSON object. "
        f"{_SOLUTION}.\n\nA:\n{table(chosen, chosen)}\n\nB:\n{table([renamed[kind] for kind in shuffled], shuffled)}"
    )
    return "tablejoin", prompt, renamed
