"""Starting and stopping the daemon from the cockpit."""

from typing import Any

from textual.app import App

from cockpit.asked import Wish
from cockpit.control import start_daemon, stop_daemon
from cockpit.messages import Slots
from cockpit.screens.asking import PickScreen
from cockpit.screens.confirm import ConfirmScreen
from store import paths
from store.database import Database, StoreError
from store.schema import ACTIVE

STOP_SECONDS = 120.0
_WAYS = (
    "Stop the daemon; running jobs go on",
    "Stop running jobs at a checkpoint first; they go on after it is started",
)


def start(app: App[Any], slots: Slots | None) -> None:
    if slots and slots.daemon_running:
        app.notify("A daemon runs already.", timeout=3)
        return
    app.notify("Starting a daemon...", timeout=2)
    app.post_message(Wish(lambda database: f"daemon {start_daemon(database)} runs"))


def ask_to_stop(app: App[Any], slots: Slots | None) -> None:
    """Asks how, and once more."""
    if not (slots and slots.daemon_running):
        app.notify("No daemon runs.", timeout=3)
        return
    running = slots.count(*ACTIVE)

    def chosen(place: int | None) -> None:
        if place is None:
            return
        if place == 0:
            _confirm(app, "Stop the daemon?", f"Nothing new is started. {running} running jobs go on.", False)
        else:
            _confirm(
                app,
                f"Stop the daemon and {running} running jobs?",
                "They go on from their checkpoints.",
                True,
            )

    app.push_screen(PickScreen("Stop the daemon", _WAYS), chosen)


def _confirm(app: App[Any], question: str, consequence: str, stop_jobs: bool) -> None:
    def act(database: Database) -> str:
        if not stop_daemon(database, stop_jobs=stop_jobs, timeout=STOP_SECONDS):
            log = paths.daemon_log(database.home)
            raise StoreError(f"the daemon has not stopped after {STOP_SECONDS:g} s\nhint: see {log}")
        return "the daemon is down"

    def answered(yes: bool | None) -> None:
        if yes:
            app.notify("Stopping the daemon...", timeout=2)
            app.post_message(Wish(act))

    app.push_screen(ConfirmScreen(question, consequence, "Stop"), answered)
