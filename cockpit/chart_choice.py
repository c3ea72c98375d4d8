"""Which metrics of a job share a chart, and which are drawn before anybody chose."""

from collections.abc import Sequence

from store.metrics import Series

TOGETHER = (
    ("loss", "eval_loss"),
    ("lm_loss", "jepa_loss", "panel/jepa_loss"),
    ("margin", "panel/margin", "retrieval", "panel/retrieval"),
    ("dev_accuracy_strict", "dev_accuracy_robust"),
    ("train_reward_mean", "validation_reward_mean"),
    ("mean_domains", "strict"),
)
"""Metrics that share a chart, in the order of the charts."""


def default_charts(series: Sequence[Series]) -> list[tuple[str, ...]]:
    """Loss and accuracy where there are such metrics, else the first two there are."""
    names = [one.name for one in series]
    shared = [tuple(name for name in group if name in names) for group in TOGETHER]
    return [group for group in shared if group] or [(name,) for name in names[:2]]


def possible_charts(series: Sequence[Series]) -> list[tuple[str, ...]]:
    """Every metric once: those that share a chart together, the others alone."""
    names = [one.name for one in series]
    shared = [group for group in (tuple(n for n in group if n in names) for group in TOGETHER) if group]
    taken = {name for group in shared for name in group}
    return [*shared, *((name,) for name in names if name not in taken)]
