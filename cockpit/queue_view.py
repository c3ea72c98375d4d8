"""How somebody looks at the queue: what is found, in which order, and by experiments or not."""

import time
from dataclasses import dataclass, replace
from typing import Any

from cockpit.view_state import ViewState
from store.filter_language import parse
from store.filter_tree import EVERYTHING, FilterError, Node, depends_on_time
from store.queue import ACTIVITY, SORTS, Sort
from store.tree import Folds

_PLACE = "queue"
_AGE_SECONDS = 20.0


@dataclass(frozen=True)
class QueueView:
    """`folds` of None: a plain list of jobs."""

    text: str = ""
    where: Node = EVERYTHING
    sort: Sort = ACTIVITY
    folds: Folds | None = None

    def filtered(self, text: str) -> "QueueView":
        """With another filter. FilterError where it cannot be understood."""
        return replace(self, text=text, where=parse(text))

    def stamp(self) -> int:
        """Differs when jobs may have come or gone though nothing was written: ages pass."""
        return int(time.monotonic() / _AGE_SECONDS) if depends_on_time(self.where) else 0

    @property
    def words(self) -> str:
        """The order in words."""
        column = {"took": "duration", "activity": "activity"}.get(self.sort.column, self.sort.column)
        return f"by {column}{', reversed' if self.sort.reverse else ''}"


def restore(state: ViewState) -> QueueView:
    """As it was left. Anything may stand in the file: what makes no sense is as good as not there."""
    left = state.of(_PLACE)
    view = QueueView()
    if left.get("sort") in SORTS:
        view = replace(view, sort=Sort(left["sort"], left.get("reverse") is True))
    if left.get("tree") is True:
        but = left.get("folds_but")
        ids = frozenset(one for one in but if isinstance(one, int)) if isinstance(but, list) else frozenset()
        view = replace(view, folds=Folds(left.get("folds_open") is True, ids))
    if isinstance(text := left.get("filter"), str):
        try:
            view = view.filtered(text)
        except FilterError:
            return view
    return view


def leave(state: ViewState, view: QueueView) -> None:
    """Keeps a view for the next time."""
    values: dict[str, Any] = {
        "filter": view.text, "sort": view.sort.column, "reverse": view.sort.reverse, "tree": view.folds is not None,
    }  # fmt: skip
    if view.folds is not None:
        values |= {"folds_open": view.folds.open, "folds_but": sorted(view.folds.but)}
    state.leave(_PLACE, **values)
