"""Made zebra and ordering puzzles: clues are added until exactly one solution is left, counted by going through all."""

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

_ATTRIBUTES = {
    "Name": ("Alice", "Bob", "Carol", "Dave", "Eve"),
    "Drink": ("tea", "coffee", "milk", "water", "juice"),
    "Pet": ("cat", "dog", "bird", "fish", "horse"),
    "Colour": ("red", "green", "blue", "white", "yellow"),
}
_SIZES = ((2, 2), (3, 2), (3, 3), (4, 2), (4, 3), (5, 2))
"""Houses and attributes by difficulty; the last has 14,400 tables to go through."""

Table = tuple[tuple[str, ...], ...]
"""One tuple an attribute: its values from the first house to the last."""
Clue = tuple[str, Callable[[Table], bool]]


def made_zebra(seed: int, difficulty: int) -> tuple[str, dict[str, Any]]:
    """A puzzle with exactly one solution, and that solution as header and rows."""
    draw = random.Random(f"zebra {seed}")
    houses, count = _SIZES[min(difficulty, len(_SIZES) - 1)]
    names = draw.sample(list(_ATTRIBUTES), count)
    values = [_ATTRIBUTES[name][:houses] for name in names]
    left: list[Table] = list(itertools.product(*(itertools.permutations(column) for column in values)))
    solution = draw.choice(left)
    clues = _clues(solution, names)
    draw.shuffle(clues)
    told = _telling(clues, left)
    listed = "; ".join(f"{name}: {', '.join(column)}" for name, column in zip(names, values, strict=True))
    numbered = "\n".join(f"{number}. {text}" for number, text in enumerate(told, start=1))
    puzzle = (
        f"There are {houses} houses in a row, numbered 1 to {houses} from left to right. Each has a different value of "
        f"every attribute. {listed}.\n\nClues:\n{numbered}"
    )
    rows = [[str(house + 1), *(column[house] for column in solution)] for house in range(houses)]
    return puzzle, {"header": ["House", *names], "rows": rows}


def _telling(clues: Sequence[tuple[str, Callable[[T], bool]]], left: list[T]) -> list[str]:
    """Of these clues, in order, those that leave fewer of the candidates, until only one is left."""
    told = []
    for text, holds in clues:
        remaining = [candidate for candidate in left if holds(candidate)]
        if len(remaining) < len(left):
            told.append(text)
            left = remaining
        if len(left) == 1:
            break
    return told


def _clues(solution: Table, names: list[str]) -> list[Clue]:
    """Everything of these forms that is true."""
    clues: list[Clue] = []
    cells = [(a, value) for a, column in enumerate(solution) for value in column]
    for (a, first), (b, second) in itertools.permutations(cells, 2):
        here, there = solution[a].index(first), solution[b].index(second)
        one, other = f"{names[a].lower()} {first}", f"{names[b].lower()} {second}"
        if a < b and here == there:
            clues.append((f"The house of {one} is the house of {other}.", _same(a, first, b, second)))
        if here + 1 == there:
            clues.append(
                (f"The house of {one} is directly left of that of {other}.", _next(a, first, b, second))
            )
        if here < there:
            clues.append(
                (f"The house of {one} is somewhere left of that of {other}.", _left(a, first, b, second))
            )
    for a, value in cells:
        place = solution[a].index(value)
        clues.append(
            (f"The house of {names[a].lower()} {value} is not house {_other(place)}.", _not(a, value, place))
        )
    # Where the rest leaves several, positions decide.
    last: list[Clue] = [
        (f"The house of {names[a].lower()} {value} is house {solution[a].index(value) + 1}.", _at(a, value, solution[a].index(value)))
        for a, value in cells
    ]  # fmt: skip
    return [*clues, *last]


def _other(place: int) -> int:
    return 2 if place == 0 else 1


def _same(a: int, first: str, b: int, second: str) -> Callable[[Table], bool]:
    return lambda table: table[a].index(first) == table[b].index(second)


def _next(a: int, first: str, b: int, second: str) -> Callable[[Table], bool]:
    return lambda table: table[a].index(first) + 1 == table[b].index(second)


def _left(a: int, first: str, b: int, second: str) -> Callable[[Table], bool]:
    return lambda table: table[a].index(first) < table[b].index(second)


def _not(a: int, value: str, place: int) -> Callable[[Table], bool]:
    return lambda table: table[a].index(value) != _other(place) - 1


def _at(a: int, value: str, place: int) -> Callable[[Table], bool]:
    return lambda table: table[a][place] == value


_THINGS = ("apple", "book", "candle", "drum", "egg", "flute", "globe", "hat", "ink", "jar", "kite", "lamp")


def made_order(seed: int, difficulty: int) -> tuple[str, list[str]]:
    """A question with exactly one order, from left to right, and that order."""
    draw = random.Random(f"ordering {seed}")
    order = draw.sample(_THINGS, 3 + (difficulty + 1) // 2)
    shown = sorted(order)
    left = list(itertools.permutations(shown))
    clues = _order_clues(order)
    draw.shuffle(clues)
    told = _telling(clues, left)
    question = (
        f"{len(order)} things stand in a row: {', '.join(shown)}. {' '.join(told)} "
        "List them from left to right."
    )
    return question, order


Order = tuple[str, ...]


def _order_clues(order: list[str]) -> list[tuple[str, Callable[[Order], bool]]]:
    clues: list[tuple[str, Callable[[Order], bool]]] = []
    for place, thing in enumerate(order):
        clues.append((f"The {thing} is number {place + 1} from the left.", _thing_at(thing, place)))
    for first, second in itertools.combinations(order, 2):
        distance = order.index(second) - order.index(first)
        clues.append((f"The {first} is to the left of the {second}.", _before(first, second)))
        between = distance - 1
        if between == 0:
            clues.append((f"The {second} is directly right of the {first}.", _apart(first, second, 1)))
        else:
            words = "one thing is" if between == 1 else f"{between} things are"
            clues.append(
                (f"Exactly {words} between the {first} and the {second}.", _between(first, second, distance))
            )
    return clues


def _thing_at(thing: str, place: int) -> Callable[[Order], bool]:
    return lambda order: order[place] == thing


def _before(first: str, second: str) -> Callable[[Order], bool]:
    return lambda order: order.index(first) < order.index(second)


def _apart(first: str, second: str, distance: int) -> Callable[[Order], bool]:
    return lambda order: order.index(second) - order.index(first) == distance


def _between(first: str, second: str, distance: int) -> Callable[[Order], bool]:
    return lambda order: abs(order.index(second) - order.index(first)) == distance
