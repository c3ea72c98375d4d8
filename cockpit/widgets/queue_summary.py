"""The line above the jobs: how many there are, in which order, what is marked, and when the queue will be empty."""

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from cockpit.figures import clock
from cockpit.forecast import Forecast, Span
from cockpit.messages import ForecastRead
from cockpit.plain_text import plain_line
from cockpit.queue_view import QueueView

Part = tuple[str, str]


class QueueSummary(Static):
    """Hears the forecast for the screen, which has a watch of its own for the rows."""

    class Foreseen(Message):
        def __init__(self, forecast: Forecast) -> None:
            super().__init__()
            self.forecast = forecast

    def __init__(self) -> None:
        super().__init__("", markup=False, id="summary")

    def on_forecast_read(self, read: ForecastRead) -> None:
        self.post_message(self.Foreseen(read.forecast))

    def show(self, view: QueueView, jobs: int, waiting: int, marked: int, forecast: Forecast) -> None:
        content = Content.assemble(*_parts(view, jobs, waiting, marked, forecast))
        if self.content != content:
            self.update(content)


def _parts(view: QueueView, jobs: int, waiting: int, marked: int, forecast: Forecast) -> list[Part]:
    muted = "$foreground 60%"
    parts = [(f"{jobs:,} job{'s' * (jobs != 1)}", ""), (f" {view.words}", muted)]
    if view.text:
        parts += [("  filter ", muted), (plain_line(view.text, 40), "$primary")]
    if marked:
        parts.append((f"  ◆ {marked} marked", "$warning"))
    # Below a filter that finds nothing, the forecast would seem to be about what it has found.
    if waiting and jobs:
        parts.append((f"  {_empty(forecast)}", muted))
    return parts


def _empty(forecast: Forecast) -> str:
    if forecast.empty:
        return f"empty about {moments(forecast.empty)}"
    return f"empty: unknown, {forecast.why}" if forecast.why else ""


def moments(span: Span) -> str:
    """`18:40`, or with what is uncertain about it `18:40 (18:20 to 19:10)`."""
    likely, low, high = (clock(moment).removesuffix(":00") for moment in (span.likely, span.low, span.high))
    return likely if low == high else f"{likely} ({low} to {high})"
