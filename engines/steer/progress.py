"""What the trials of a study say together: how many there are of each kind, and which are the best."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from optuna.trial import TrialState


def progress(trials: Sequence[Any]) -> dict[str, Any]:
    """Numbers of trials, and the best; siblings, which nobody asked for, count for the best alone."""
    own = Counter(trial.state for trial in trials if not is_sibling(trial))
    best = best_trials(trials)
    return {
        "finished": own[TrialState.COMPLETE] + own[TrialState.PRUNED],
        "pruned": own[TrialState.PRUNED],
        "running": own[TrialState.RUNNING],
        "best_gain": best[0].value if best else None,
        "best_params": dict(best[0].params) if best else None,
    }


def best_trials(trials: Sequence[Any]) -> list[Any]:
    """Trials that were scored on all questions and kept the constraints, the best first; equal ones by gentleness."""
    whole = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and all(amount <= 0 for amount in trial.constraints.values())
    ]
    return sorted(whole, key=lambda trial: (-trial.value, abs(trial.params["alpha"]), trial.number))


def is_sibling(trial: Any) -> bool:
    return "sibling_of" in trial.user_attrs
