"""The tabs of a job's screen: which there are, what each shows, and what it has to read."""

from functools import partial

from textual.message_pump import MessagePump
from textual.widget import Widget

from cockpit import cosine_map, heat_maps, reads, studies
from cockpit.curves_view import CurvesView
from cockpit.feed import Feed
from cockpit.messages import JobRead
from cockpit.widgets.curves_pane import CurvesPane
from cockpit.widgets.log_search_view import SearchableLog
from cockpit.widgets.log_view import LogView
from cockpit.widgets.samples_view import SamplesView
from cockpit.widgets.text_view import TextView

ALWAYS = ("curves", "log", "recipe", "history", "results")
TABS = (*ALWAYS, "samples")
LOG_FILE = "worker.log"


def offered_tabs(read: JobRead | None) -> tuple[str, ...]:
    """Those that have something to show for a job."""
    return TABS if read and read.has_samples else ALWAYS


def make_pane(name: str, feed: Feed, job_id: int, view: CurvesView) -> Widget:
    """What a tab shows, without anything in it yet."""
    run_dir = feed.database.run_dir(job_id)
    if name == "curves":
        return CurvesPane(feed, job_id, view, id=name)
    if name == "log":
        return SearchableLog(feed, run_dir / LOG_FILE, id=name)
    return SamplesView(feed, run_dir, id=name) if name == "samples" else TextView(id=name)


def watch_pane(pane: Widget, feed: Feed, job_id: int, target: MessagePump) -> None:
    """Reads what the pane shows from now on. Panes that do not read for themselves leave their watch in a name."""
    run_dir = feed.database.run_dir(job_id)
    if isinstance(pane, CurvesPane | LogView | SamplesView):
        pane.watch_feed()
    elif pane.id == "recipe":
        feed.watch(target, partial(reads.read_recipe, job_id=job_id))
    elif pane.id == "history":
        feed.watch(target, partial(reads.read_history, job_id=job_id))
    elif pane.id == "results":
        files = [run_dir / name for name in (heat_maps.FILE, cosine_map.FILE, studies.FILE)]
        feed.watch(target, partial(reads.read_results, job_id=job_id), reads.file_stamp(*files))


def unwatch_pane(pane: Widget, feed: Feed, target: MessagePump) -> None:
    """Nothing more is read for it."""
    feed.unwatch(target)
    if isinstance(pane, CurvesPane | LogView | SamplesView):
        pane.unwatch_feed()
