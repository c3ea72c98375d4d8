"""Looking back: the whole cockpit as it was at a past moment, by keys from one moment to another, and back to now.

While the past is shown the feed reads `store.past.Past` in place of the store, and only when somebody steps: the past does
not move by itself, and nothing in it can be changed.
"""

import threading
import time
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.reactive import reactive

from cockpit.asked import WishRefused
from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.moments import WAYS, in_words, known, moment_of
from cockpit.screens.asking import AskScreen
from cockpit.screens.job import JobScreen
from engines.recipe.errors import RecipeError
from store.database import Database, StoreError
from store.jobs import get_job
from store.past import Past
from store.past_moments import neighbour

NO_CHANGES = "this is the past, in which nothing can be changed: return to now first"
NO_HISTORY = "what that screen shows has no history: return to now first"

_BACK = ((-1,), (-60,), (-3600,))
"""The parameters of steps that lead back."""

Find = Callable[[Database, float | None], float | None]
"""From the store and the moment shown (None: now) to the moment to show."""


class Replay(App[None]):
    """An app that can show the past of its store."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "replay",
        Binding("at", "moment", "Past", show=False, key_display="@", tooltip="Show everything as it was at a moment"),
        Binding("left_parenthesis", "event(-1)", "Event back", show=False, key_display="(", tooltip="The past: to where a job started or ended before"),
        Binding("right_parenthesis", "event(1)", "Event on", show=False, key_display=")", tooltip="The past: to where a job started or ended next"),
        Binding("left_curly_bracket", "step(-3600)", "Hour back", show=False, key_display="{", tooltip="The past: an hour back"),
        Binding("right_curly_bracket", "step(3600)", "Hour on", show=False, key_display="}", tooltip="The past: an hour on"),
        Binding("ctrl+left", "step(-60)", "Minute back", show=False, tooltip="The past: a minute back"),
        Binding("ctrl+right", "step(60)", "Minute on", show=False, tooltip="The past: a minute on"),
        Binding("exclamation_mark", "now", "Now", key_display="!", tooltip="Leave the past"),
    )  # fmt: skip

    feed: Feed
    moment: reactive[float | None] = reactive(None, init=False, bindings=True)
    """What is shown, in Unix seconds; None is the present."""

    present: Database
    keymap_given: dict[str, str]

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self._past: Past | None = None
        self._heading: float | None = None
        """Where the last key leads: the next one counts from there, however long the store takes."""
        self._steps = threading.Lock()

    def on_unmount(self) -> None:
        self.feed.stop()
        if self._past is not None:
            self._past.close()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """From now there is no way but back."""
        leads_on = action == "now" or (action in ("step", "event") and parameters not in _BACK)
        return not (leads_on and self.moment is None)

    def action_step(self, seconds: int) -> None:
        self._go(lambda database, shown: (database.now() if shown is None else shown) + seconds)

    def action_event(self, by: int) -> None:
        forwards = by > 0
        job_id = self.screen.job_id if isinstance(self.screen, JobScreen) else None

        def find(database: Database, shown: float | None) -> float | None:
            found = neighbour(database, database.now() if shown is None else shown, forwards, job_id)
            if found is None and not forwards:
                whose = "" if job_id is None else f" to job {job_id}"
                raise RecipeError(f"nothing happened{whose} before that", hint="`{` goes back by an hour")
            return found

        self._go(find)

    def action_moment(self) -> None:
        moment = self.moment
        shown = "" if moment is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))

        def answered(text: str | None) -> None:
            # Unchanged it is the same moment, which lies within the second that is shown.
            if text and text.strip() != shown:
                self._go(
                    lambda database, shown: (
                        None if text.strip() == "now" else moment_of(text, database, shown)
                    )
                )

        self.push_screen(AskScreen("Which moment?", f"{WAYS}, or now", shown, lambda text: ""), answered)

    def action_now(self) -> None:
        self._go(lambda database, shown: None)

    def _go(self, find: Find) -> None:
        if any(not getattr(screen, "follows_moment", True) for screen in self.screen_stack):
            self.post_message(WishRefused("this screen stays at its moment: leave it first"))
        else:
            self._search(find, [one.job_id for one in self.screen_stack if isinstance(one, JobScreen)])

    @work(thread=True, group="replay", exit_on_error=False)
    def _search(self, find: Find, jobs: list[int]) -> None:
        """Looks the moment up where no key has to wait for it."""
        with self._steps:
            try:
                moment = find(self.present, self._heading)
                if moment is None or (self._heading is not None and moment >= self.present.now()):
                    moment = None
                else:
                    known(moment, self.present)
                    for job_id in jobs:
                        _existed(self.present, job_id, moment)
            except (RecipeError, StoreError) as error:
                self.post_message(WishRefused(str(error)))
                return
            self._heading = moment
            self.call_from_thread(self.arrive, moment)

    def arrive(self, moment: float | None) -> None:
        """Shows a moment, or the present."""
        self._heading = moment
        if moment is None:
            self.feed.show(self.present)
        elif self._past is None:
            self._past = Past(self.present, moment)
            self.feed.show(self._past)
        else:
            self._past.seek(moment)
            self.feed.show(self._past)
        self.moment = moment


def _existed(database: Database, job_id: int, moment: float) -> None:
    submitted = get_job(database, job_id).created_at
    if submitted > moment:
        raise RecipeError(
            f"job {job_id} was not there yet: it was submitted {in_words(submitted)}",
            hint="leave its screen to look further back",
        )
