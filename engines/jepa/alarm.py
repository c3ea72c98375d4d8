"""When to warn that the embeddings are collapsing while the loss looks better than ever."""

from collections.abc import Mapping, Sequence

ENERGY = 0.99
SPREAD = 0.1
"""Of what it was before training."""
_FELL = 0.8
_SLACK = 0.02


def collapse_warnings(history: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """What is wrong with the last measurement, given all since before the first step: texts by a short name of the cause.

    A measurement holds `jepa_loss`, `retrieval`, `margin`, `energy` and `spread`.
    """
    first, last = history[0], history[-1]
    found = {}
    if last["energy"] > ENERGY and first["energy"] <= ENERGY:
        found["energy"] = f"{last['energy']:.1%} of the embeddings' energy is in one direction"
    if last["spread"] < SPREAD * first["spread"]:
        found["spread"] = (
            f"the embeddings' spread is {last['spread'] / first['spread']:.1%} of that before training"
        )
    better = min(history, key=lambda figures: figures["jepa_loss"])
    for name in ("retrieval", "margin"):
        best = max(figures[name] for figures in history)
        if (
            better is last
            and last["jepa_loss"] < first["jepa_loss"]
            and last[name] < _FELL * best
            and best - last[name] > _SLACK
        ):
            found[name] = (
                f"the embedding loss is at its best, and {name} fell from {best:.3f} to {last[name]:.3f}"
            )
    return found
