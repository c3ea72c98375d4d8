"""reasoning-gym (Stojanovski et al. 2025, Apache-2.0) in a process of its own: it makes questions and scores answers.

It is imported there and nowhere else: 2.5 seconds, and a hundred generators with all they draw with. Entries cross as
JSON, as they are stored, so an answer is scored from the store exactly as it was when it was generated.
"""

import json
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any

from engines.recipe.errors import RecipeError
from engines.suite.deadline import Pool

SCORED = 10.0
"""Seconds for the score of one answer."""
_MADE = 60.0
"""Seconds for one question; the list has none that takes a tenth of one."""
_SIZE = 2**31
"""Entries that a dataset has; entry n is made from the seed n."""


@cache
def check_installed(name: str) -> None:
    """Raises RecipeError where the package is missing. It is looked for, not imported."""
    if find_spec("reasoning_gym") is None:
        raise RecipeError(
            f"{name} needs reasoning-gym, which is not installed", hint="`pip install 'tunedeck[gym]'`"
        )


def made_entry(name: str, number: int) -> dict[str, Any]:
    """Entry `number` of a dataset: `question`, `answer`, `metadata`. Raises RuntimeError where it cannot be made."""
    reply = _POOL.ask(("make", name, number), _MADE)
    if reply is None:
        raise RuntimeError(f"reasoning-gym made no entry {number} of {name} within {_MADE:g} s")
    kind, text = reply
    if kind != "ok":
        raise RuntimeError(f"reasoning-gym could not make entry {number} of {name}: {text}")
    entry: dict[str, Any] = json.loads(text)
    return entry


def share_of(name: str, entry: dict[str, Any], answer: str) -> float | None:
    """What the dataset's own scorer gives an answer, 0 to 1; None where it took too long. RuntimeError where it failed."""
    reply = _POOL.ask(("score", name, json.dumps(entry), answer), SCORED)
    if reply is None:
        return None
    kind, value = reply
    if kind != "ok":
        raise RuntimeError(f"the scorer of {name} failed: {value}")
    return float(value)


def _serve(pipe: Connection) -> None:
    """The other process: makes and scores until its pipe closes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a generator prints dots, which are no news of the job's
    import_module("reasoning_gym")
    create: Callable[..., Any] = import_module("reasoning_gym.factory").create_dataset
    datasets: dict[str, Any] = {}
    pipe.send("ready")
    while True:
        try:
            what, name, *rest = pipe.recv()
        except EOFError:
            return
        try:
            if name not in datasets:
                datasets[name] = create(name, seed=0, size=_SIZE)
            if what == "make":
                reply: str | float = json.dumps(datasets[name][rest[0]])
            else:
                reply = float(datasets[name].score_answer(rest[1], json.loads(rest[0])))
            pipe.send(("ok", reply))
        except Exception as error:  # reported on the other side, which knows what was asked
            pipe.send(("raised", f"{type(error).__name__}: {error}"))


_POOL = Pool(_serve, "runs reasoning-gym")
