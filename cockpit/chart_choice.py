"""Which metrics of a job share a chart, and which are drawn before anybody chose."""

from collections.abc import Sequence

from store.metrics import OBSERVED, Series

TOGETHER = (
    ("loss", "eval_loss"),
    ("lm_loss", "jepa_loss", "panel/jepa_loss"),
    ("margin", "panel/margin", "retrieval", "panel/retrieval"),
    ("dev_accuracy_strict", "dev_accuracy_robust"),
    ("train_reward_mean", "validation_reward_mean"),
    ("mean_domains", "strict"),
)
"""Metrics that share a chart, in the order of the charts that are drawn before anybody chose."""

_REWARDS = ("reward", "acc_robust", "format_ok")
"""Of a policy that learns by rewards. Its loss is a difference around zero, whose height says little."""
_ON_REQUEST = (
    _REWARDS,
    ("frac_reward_zero_std", "live_share", "clipped_ratio"),
    ("length", "length/min", "length/max", "length/terminated"),
    ("clip_ratio/low", "clip_ratio/high"),
    ("jepa_cosine", "jepa_margin"),
    ("jepa_grad_ratio", "jepa_grad_cosine"),
    ("panel/energy", "panel/hard_r1"),
)
"""Metrics that share a chart where somebody asks for it: rewards and diagnostics."""
_OBSERVED = ("util", "memory", "power", "temperature")
_MOST = 4
"""Curves that one chart tells apart."""


def default_charts(series: Sequence[Series]) -> list[tuple[str, ...]]:
    """Loss and accuracy where there are such metrics, before them the rewards of a policy; else the first two there are."""
    names = [one.name for one in series]
    first = (_REWARDS,) if _REWARDS[0] in names else ()
    shared = [tuple(name for name in group if name in names) for group in (*first, *TOGETHER)]
    logged: list[tuple[str, ...]] = [(name,) for name in names if not name.startswith(OBSERVED)]
    return [group for group in shared if group] or logged[:2] or possible_charts(series)[:2]


def possible_charts(series: Sequence[Series]) -> list[tuple[str, ...]]:
    """Every metric once: those that share a chart together, the others alone, and last what the GPUs did."""
    names = [one.name for one in series]
    groups = (tuple(n for n in group if n in names) for group in (*TOGETHER, *_ON_REQUEST))
    shared = [group for group in groups if group]
    cards = [chart for figure in _OBSERVED for chart in _by_card(names, figure)]
    taken = {name for group in (*shared, *cards) for name in group}
    return [*shared, *((name,) for name in names if name not in taken), *cards]


def _by_card(names: Sequence[str], figure: str) -> list[tuple[str, ...]]:
    found = [name for name in names if name.startswith(OBSERVED) and name.endswith(f"/{figure}")]
    return [tuple(found[start : start + _MOST]) for start in range(0, len(found), _MOST)]
