"""When to warn that the embeddings are collapsing while the loss looks better than ever."""

from collections.abc import Mapping, Sequence

ENERGY = 0.99
SPREAD = 0.1
"""Of what it was before training."""
_FELL = 0.8
_SLACK = 0.02
_ERRORS = 2.0
"""Standard errors of a share by which retrieval has to fall: small panels jump."""


def collapse_warnings(history: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """What is wrong with the last measurement, given all since before the first step: texts by a short name of the cause.

    A measurement holds `jepa_loss`, `retrieval`, `margin`, `energy`, `spread` and the number of `pairs`.
    """
    first, last = history[0], history[-1]
    found = {}
    if last["energy"] > ENERGY and first["energy"] <= ENERGY:
        found["energy"] = f"{last['energy']:.1%} of the embeddings' energy is in one direction"
    if last["spread"] < SPREAD * first["spread"]:
        found["spread"] = (
            f"the embeddings' spread is {last['spread'] / first['spread']:.1%} of that before training"
        )
    if min(history, key=lambda figures: figures["jepa_loss"]) is not last or last is first:
        return found
    best = {name: max(figures[name] for figures in history) for name in ("retrieval", "margin")}
    fallen = {name: best[name] - last[name] for name in best}
    error = (best["retrieval"] * (1 - best["retrieval"]) / last["pairs"]) ** 0.5
    worse = {
        "retrieval": fallen["retrieval"] > max(_SLACK, _ERRORS * error),
        "margin": fallen["margin"] > _SLACK and last["margin"] < _FELL * best["margin"],
    }
    for name in (name for name, is_worse in worse.items() if is_worse):
        found[name] = (
            f"the embedding loss is at its best, and {name} fell from {best[name]:.3f} to {last[name]:.3f}"
        )
    return found
