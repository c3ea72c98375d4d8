"""The kinds of word problems that pocket-math is made of: what varies, the sums, and the wordings.

Read as data: a kind draws its numbers from ranges, its sums say how the answer follows, and its wordings are the
texts with `{N}` and `{M}` for two people and `{things}` for what they count.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of problem."""

    name: str
    numbers: dict[str, tuple[int, int]]
    """What is drawn, and from which range, ends included."""
    sums: str
    """`a*b=m; m+c=t`: evaluated in order; the last result is the answer."""
    wordings: tuple[str, ...]


NAMES = (
    "Ada", "Amir", "Anna", "Ben", "Carla", "Chen", "Dan", "Diego", "Ella", "Emma", "Farid", "Finn",
    "Grace", "Hugo", "Ida", "Ivan", "Jack", "June", "Kai", "Kofi", "Lara", "Leo", "Lina", "Maya", "Mia",
    "Nina", "Noah", "Omar", "Oscar", "Pia", "Priya", "Rosa", "Sam", "Sara", "Theo", "Tom", "Uma", "Vera",
    "Will", "Zoe",
)  # fmt: skip
THINGS = (
    "apples", "balls", "beads", "books", "buttons", "cakes", "candles", "cards", "coins", "cookies",
    "cups", "eggs", "flowers", "grapes", "hats", "keys", "lemons", "marbles", "nuts", "oranges", "pears",
    "pencils", "pens", "plates", "rocks", "shells", "spoons", "stamps", "stickers", "toys",
)  # fmt: skip

ONE_STEP = (
    Kind("gain", {"a": (3, 90), "b": (3, 90)}, "a+b=t", (
        "{N} has {a} {things}. {M} gives {N} {b} more. How many {things} does {N} have now?",
        "{N} had {a} {things} and found {b} more. How many {things} does {N} have now?",
        "There are {a} {things} in a box. {N} puts in {b} more. How many {things} are in the box?",
    )),
    Kind("loss", {"a": (10, 99), "b": (3, 90)}, "a-b=t", (
        "{N} has {a} {things}. {N} gives {b} of them to {M}. How many {things} does {N} have left?",
        "{N} had {a} {things} but lost {b}. How many {things} are left?",
        "There are {a} {things} on a table. {N} takes away {b}. How many {things} stay on the table?",
    )),
    Kind("groups", {"a": (2, 12), "b": (2, 15)}, "a*b=t", (
        "{N} has {a} bags with {b} {things} in each. How many {things} does {N} have?",
        "There are {a} boxes. Each box holds {b} {things}. How many {things} are there?",
        "{N} buys {b} {things} every day for {a} days. How many {things} does {N} buy?",
    )),
    Kind("share", {"a": (6, 99), "b": (2, 12)}, "a/b=t", (
        "{N} shares {a} {things} equally among {b} friends. How many {things} does each friend get?",
        "{N} puts {a} {things} into {b} equal rows. How many {things} are in each row?",
    )),
    Kind("more", {"a": (3, 90), "b": (3, 60)}, "a+b=t", (
        "{N} has {a} {things}. {M} has {b} more {things} than {N}. How many {things} does {M} have?",
    )),
    Kind("fewer", {"a": (10, 99), "b": (3, 60)}, "a-b=t", (
        "{N} has {a} {things}. {M} has {b} fewer {things} than {N}. How many {things} does {M} have?",
    )),
)  # fmt: skip

TWO_STEPS = (
    Kind("gain_loss", {"a": (5, 80), "b": (5, 60), "c": (3, 60)}, "a+b=m; m-c=t", (
        "{N} has {a} {things}, buys {b} more and then gives {c} to {M}. How many {things} does {N} have left?",
        "There are {a} {things} in a shop. {b} more come in and {c} are sold. How many {things} are in the shop now?",
    )),
    Kind("groups_extra", {"a": (2, 9), "b": (2, 12), "c": (3, 60)}, "a*b=m; m+c=t", (
        "{N} has {a} bags with {b} {things} in each, and {c} more {things}. How many {things} does {N} have?",
        "{N} makes {b} {things} every day for {a} days. {M} makes {c} {things}. How many {things} do they make?",
    )),
    Kind("groups_used", {"a": (2, 9), "b": (3, 12), "c": (3, 60)}, "a*b=m; m-c=t", (
        "{N} buys {a} boxes of {b} {things} and gives {c} {things} to {M}. How many {things} does {N} have left?",
        "There are {a} rows of {b} {things}. {N} takes {c} of them. How many {things} are left?",
    )),
    Kind("change", {"a": (2, 9), "b": (2, 12), "c": (20, 99)}, "a*b=m; c-m=t", (
        "{N} buys {a} {things} for {b} dollars each and pays with {c} dollars. How many dollars does {N} get back?",
        "{N} has {c} dollars and buys {a} {things} at {b} dollars each. How many dollars does {N} have left?",
    )),
    Kind("twice", {"a": (4, 60), "k": (2, 3)}, "k*a=m; a+m=t", (
        "{N} has {a} {things}. {M} has {k} times as many. How many {things} do they have together?",
    )),
    Kind("more_both", {"a": (4, 70), "b": (3, 50)}, "a+b=m; a+m=t", (
        "{N} has {a} {things}. {M} has {b} more {things} than {N}. How many {things} do they have together?",
        "{N} finds {a} {things} and {M} finds {b} more than {N}. How many {things} do they find together?",
    )),
    Kind("fewer_both", {"a": (12, 90), "b": (3, 50)}, "a-b=m; a+m=t", (
        "{N} has {a} {things}. {M} has {b} fewer {things} than {N}. How many {things} do they have together?",
    )),
    Kind("join_share", {"a": (5, 70), "b": (5, 70), "c": (2, 9)}, "a+b=m; m/c=t", (
        "{N} has {a} {things} and {M} has {b}. They share them equally among {c} children. How many does each child get?",
    )),
    Kind("share_gain", {"a": (8, 99), "b": (2, 9), "c": (3, 60)}, "a/b=m; m+c=t", (
        "{N} puts {a} {things} into {b} equal bags. {M} adds {c} {things} to one bag. How many {things} are in that bag?",
    )),
)  # fmt: skip

THREE_STEPS = (
    Kind("two_prices", {"a": (2, 9), "b": (2, 9), "c": (2, 9), "d": (2, 9)}, "a*b=m; c*d=n; m+n=t", (
        "{N} buys {a} {things} for {b} dollars each and {c} hats for {d} dollars each. How many dollars does {N} pay?",
        "{N} fills {a} bags with {b} {things} each. {M} fills {c} bags with {d} each. How many {things} are in the bags?",
    )),
    Kind("three_people", {"a": (4, 40), "k": (2, 3), "b": (3, 40)}, "k*a=m; m-b=n; a+n=t", (
        "{N} has {a} {things}. {M} had {k} times as many but lost {b}. How many {things} do they have together?",
    )),
    Kind("leftover_share", {"a": (2, 9), "b": (3, 12), "c": (3, 40), "d": (2, 6)}, "a*b=m; m-c=n; n/d=t", (
        "{N} has {a} boxes of {b} {things}. {N} keeps {c} and shares the rest equally among {d} friends. "
        "How many {things} does each friend get?",
    )),
)  # fmt: skip
