"""What people wish of the store, written down off the UI's thread, and what they are told of it."""

from textual import work
from textual.message import Message

from cockpit.asked import Wish, WishGranted, WishRefused
from cockpit.plain_text import plain_line, plain_lines
from cockpit.replay import NO_CHANGES, NO_HISTORY, Replay
from engines.recipe.errors import RecipeError
from store import machine
from store.database import StoreError


class Granting(Replay):
    """An app that passes wishes on to the store, unless it only looks or looks back."""

    read_only: bool

    def refuses(self) -> bool:
        """Whether nothing may be changed here; the user is told why."""
        if self.moment is not None:
            self.post_message(WishRefused(NO_CHANGES))
        elif self.read_only:
            self.post_message(WishRefused("this cockpit only looks: it was opened with --read-only"))
        else:
            return False
        return True

    def is_now(self) -> bool:
        """Whether the present is shown; else the user is told that what was asked for is of the present only."""
        if self.moment is not None:
            self.post_message(WishRefused(NO_HISTORY))
        return self.moment is None

    def on_wish(self, message: Wish) -> None:
        if not self.refuses():
            self._grant(message)

    @work(thread=True, group="wishes", exit_on_error=False)
    def _grant(self, wish: Wish) -> None:
        """Writes a wish down. Whatever the store says against it is told to the user, and the cockpit goes on."""
        reply: Message
        try:
            reply = WishGranted(wish.act(self.present))
        except (StoreError, RecipeError) as error:
            reply = WishRefused(str(error))
        except Exception as error:
            # A locked database or a full disk: the user is told, and can try again.
            reply = WishRefused(f"{type(error).__name__}: {error}")
        machine.nudge(self.present.home)
        self.feed.look_now()
        self.post_message(reply)

    def on_wish_granted(self, message: WishGranted) -> None:
        self.notify(plain_line(message.text), timeout=3, markup=False)

    def on_wish_refused(self, message: WishRefused) -> None:
        text = "\n".join(plain_lines(message.text))
        self.notify(text, severity="error", timeout=10, markup=False)
