"""Wishes for jobs that have results: write their metrics to a directory, grade what they said again."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.app import App

from cockpit.asked import Wish
from cockpit.exporting import Row, rows, write_event_files
from cockpit.regrading import regrade
from cockpit.screens.asking import AskScreen, PickScreen
from cockpit.screens.left_view import cockpit_of
from cockpit.screens.report import ReportScreen
from store import jobs
from store.database import Database, StoreError

_FORMATS = ("CSV: every point of every metric, one file", "TensorBoard's event files, a run for each job")


def export(app: App[Any], ids: Sequence[int]) -> None:
    """Asks for a format and a directory."""

    def chosen(place: int | None) -> None:
        if place is not None:
            app.push_screen(
                AskScreen(question, "a directory; it is made where there is none", value, check),
                answer(place),
            )

    def answer(place: int) -> Any:
        def answered(text: str | None) -> None:
            if text:
                app.post_message(
                    Wish(lambda database: _write(database, ids, Path(text).expanduser(), place == 0))
                )

        return answered

    def check(text: str) -> str:
        path = Path(text).expanduser()
        return "that is a file" if path.exists() and not path.is_dir() else ""

    question = f"Where should the metrics of {len(ids)} job{'s' * (len(ids) != 1)} go?"
    value = str(Path.cwd() / "metrics")
    app.push_screen(PickScreen("In which format?", _FORMATS), chosen)


def _write(database: Database, ids: Sequence[int], directory: Path, as_csv: bool) -> str:
    chosen = [jobs.get_job(database, job_id) for job_id in ids]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not as_csv:
            written = write_event_files(database, chosen, directory)
            return f"{sum(written.values())} points of {len(written)} jobs are in {directory}"
        count = 0
        with (directory / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(Row._fields)
            for row in rows(database, chosen):
                writer.writerow(row)
                count += 1
    except OSError as error:
        raise StoreError(f"{directory}: cannot be written: {error.strerror}") from error
    return f"{count} points of {len(chosen)} jobs are in {directory / 'metrics.csv'}"


def grade_again(app: App[Any], ids: Sequence[int]) -> None:
    """Each as `tunedeck regrade` would; several are told in one line."""

    def act(database: Database) -> str:
        done, refused = [], []
        for job_id in ids:
            try:
                done.append(regrade(database, job_id))
            except StoreError as error:
                refused.append(str(error))
        if len(ids) == 1 and refused:
            raise StoreError(refused[0])
        if len(ids) == 1:
            return f"job {done[0].job.id}: {done[0].gist if done[0].is_due else 'nothing has changed'}"
        changed = sum(found.is_due for found in done)
        said = f"{len(done)} graded again, {changed} changed"
        return f"{said}; {len(refused)} refused, the first: {refused[0]}" if refused else said

    app.post_message(Wish(act))


def report(app: App[Any], ids: Sequence[int]) -> None:
    """Of the experiment of the first of them."""
    app.push_screen(ReportScreen(cockpit_of(app.screen).feed, ids[0]))


WISHES = {"export": export, "grade again": grade_again, "report": report}
