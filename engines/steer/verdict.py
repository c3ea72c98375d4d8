"""What a search has shown, as figures: gains where they mean something, what was selected, and what controls found."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engines.run import write_whole
from engines.statistics.power import power_table
from engines.statistics.selection import max_t
from engines.steer.confirm import Confirmed, searched_items
from engines.steer.final import Final
from engines.steer.items import Item, differences
from engines.steer.progress import best_trials
from engines.steer.sources import Role
from engines.steer.subject import Subject
from engines.steer.trials import Trials

_RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Outcome:
    """All that the report is written from."""

    studies: list[Trials]
    confirmed: list[Confirmed]
    winner: Confirmed | None
    """None: no steering wins."""
    control: Confirmed | None
    final: Final
    effects: dict[str, Any]
    """Of steering on everything but the answers: `side_effects`."""


def statistics(subject: Subject, outcome: Outcome, unsteered: Sequence[Item]) -> dict[str, Any]:
    """`stats.json`."""
    winner, test = outcome.winner, outcome.final.comparisons["winner"]
    return {
        "winner": "no steering" if winner is None else winner.record(),
        "search": _selected(outcome, unsteered),
        "confirm": [one.record() for one in outcome.confirmed],
        "test": {name: found.record() for name, found in outcome.final.comparisons.items()},
        "test_flips": flips(outcome.final),
        "side_effects": outcome.effects,
        "fixed": test.fixed,
        "broken": test.broken,
        "power": [
            {"n": n, "gain": gain, "discordance": discordance, "power": power}
            for n, gain, discordance, power in power_table(
                sorted({subject.recipe.splits.search, subject.recipe.splits.confirm, test.n}),
                (0.02, 0.04, 0.06, 0.1),
                (0.1, 0.2),
            )
        ],
    }


def _selected(outcome: Outcome, unsteered: Sequence[Item]) -> dict[str, Any]:
    """The best of the search, with a p that is corrected for having looked at all that was scored on every question."""
    rows, tried = [], []
    for trials in outcome.studies:
        if trials.space.role == "tested":
            for trial in best_trials(trials.finished()):
                if trial.params["alpha"] != 0:
                    tried.append((trials.space.name, trial.number, trial.value))
                    rows.append([float(d) for d in differences(searched_items(trials, trial), unsteered)])
    if not rows:
        return {"configurations": 0}
    corrected = max_t(rows, resamples=_RESAMPLES)
    best = max(range(len(tried)), key=lambda place: tried[place][2])
    study, number, gain = tried[best]
    return {
        "configurations": len(rows),
        "best": {"study": study, "trial": number, "gain_selected": gain, "corrected_p": corrected[best]},
    }


def flips(final: Final) -> dict[str, list[str]]:
    """Ids of the test's questions that the winner fixed and broke."""
    pairs = list(zip(final.items["winner"], final.items["baseline"], strict=True))
    return {
        "fixed": [one["id"] for one, base in pairs if one["correct"] and not base["correct"]],
        "broken": [one["id"] for one, base in pairs if base["correct"] and not one["correct"]],
    }


def controls(outcome: Outcome) -> dict[str, Any]:
    """`controls.json`: what the same search finds along directions that mean nothing, and what rivals gain.

    `p` is the share of studies, the method's own among them, whose best is no worse than the method's."""
    bests: dict[str, dict[str, Any]] = {}
    for trials in outcome.studies:
        found = best_trials(trials.finished())
        bests[trials.space.name] = {
            "role": trials.space.role,
            "trials": len(trials.finished()),
            "pruned": sum(not _complete(trial) for trial in trials.finished()),
            "best_search_gain_selected": found[0].value if found else None,
            "best_params": dict(found[0].params) if found else None,
        }

    def gains(role: Role) -> list[float]:
        found = [row for row in bests.values() if row["role"] == role and row["best_params"]]
        return [row["best_search_gain_selected"] for row in found]

    def confirmed(role: Role) -> dict[str, Any]:
        return {one.finalist.study: one.record() for one in outcome.confirmed if one.finalist.role == role}

    null, own = gains("null"), gains("tested")
    p = (1 + sum(gain >= max(own) for gain in null)) / (1 + len(null)) if null and own else None
    return {
        "studies": bests,
        "null_best_gains": sorted(null),
        "p": p,
        "confirmed": confirmed("null"),
        "rivals": confirmed("rival"),
    }


def _complete(trial: Any) -> bool:
    return bool(trial.state.name == "COMPLETE")


def write_trials(subject: Subject, studies: Sequence[Trials], name: str) -> None:
    """One line a trial of all studies, in the order of studies and numbers."""
    columns = [
        "study", "number", "state", "layer", "alpha", "top_p", "cap", "gain", "n", "feasible", "sibling_of", "items",
    ]  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for trials in studies:
        for trial in trials.finished():
            gain = next(iter(trial.intermediate_values.values()), trial.value)
            line = {
                "study": trials.space.name,
                "number": trial.number,
                "state": trial.state.name,
                **trial.params,
                "gain": gain,
                "n": trial.user_attrs["answers"]["n"],
                "feasible": all(amount <= 0 for amount in trial.constraints.values()),
                "sibling_of": (trial.user_attrs.get("sibling_of") or [""])[0],
                "items": trial.user_attrs["answers"]["items"],
            }
            writer.writerow(line)
    write_whole(subject.run.dir / name, text.getvalue())


def as_record(confirmed: Confirmed | None) -> dict[str, Any]:
    """The winner in a file of its own."""
    if confirmed is None:
        return {"alpha": 0.0, "why": "no configuration surely gained anything on the confirm questions"}
    steering = confirmed.finalist.steering
    assert steering is not None, "what wins is a steering"
    return {**confirmed.record(), "spec": steering.spec.model_dump(mode="json")}
