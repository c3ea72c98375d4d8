"""What a steering does beside the answers: how well the model still predicts plain text, and how its answers look."""

from collections.abc import Mapping, Sequence
from math import exp
from statistics import fmean, median
from typing import Any

from engines.generation.context import context_length
from engines.prompts.rendering import token_ids
from engines.recipe.errors import RecipeError
from engines.statistics.selection import bca_interval
from engines.steer.dac import dac_of
from engines.steer.directions import Steering
from engines.steer.final import Final
from engines.steer.items import Item
from engines.steer.journal import kept
from engines.steer.plain_texts import OPENING
from engines.steer.screening import force
from engines.steer.subject import Subject

FILE = "side_effects.json"


def check_plain_texts(subject: Subject, texts: Sequence[str]) -> None:
    """RecipeError for a text that is longer than the model's context: before a search, not after it."""
    limit = context_length(subject.model.config)
    longest = max(len(token_ids(subject.tokenizer, text)) for text in texts)
    if limit is not None and longest > limit:
        raise RecipeError(
            f"plain_text: a text of {longest} tokens exceeds the model's context of {limit}",
            hint="cut it into several with blank lines between them",
        )


def side_effects(
    subject: Subject, final: Final, tried: Mapping[str, Steering | None], texts: Sequence[str]
) -> dict[str, Any]:
    """For `baseline` and all that was tested: answers on the test, and perplexity on plain text; leaves its file."""
    inputs = [subject.asked, {name: one and one.key for name, one in tried.items()}, list(texts)]
    perplexities = kept(subject.run.dir / FILE, inputs, lambda: _perplexities(subject, tried, texts))
    return {
        name: {**_looks(final.items[name]), **perplexities.get(name, {})}
        for name in ("baseline", *tried)
        if name in final.items
    }


def _looks(items: Sequence[Item]) -> dict[str, float]:
    """Shares of answers that are cut off, that repeat themselves, that hold no answer (refusals among them), and length."""
    return {
        "truncated": fmean(not row["terminated"] for row in items),
        "repeats": fmean(row["repeats"] for row in items),
        "unanswered": fmean(row["extracted"] is None for row in items),
        "median_tokens": float(median(row["tokens"] for row in items)),
    }


def _perplexities(
    subject: Subject, tried: Mapping[str, Steering | None], texts: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Perplexity a token behind each text's first words, steered from the last of them on.

    `nats_change` is the mean rise of the loss a token, with a 95 % interval over texts. A `dac` schedule has strengths
    only where something is generated, so that it has no such figure."""
    fixed = {name: one for name, one in tried.items() if dac_of(one) is None}
    rows = []
    for text in texts:
        words = text.split()
        before, after = " ".join(words[:OPENING]), " " + " ".join(words[OPENING:])
        rows.append(force(subject.model, subject.tokenizer, before, after, [None, *fixed.values()]))
    tokens = sum(row[0].tokens for row in rows)

    def figures(place: int) -> dict[str, Any]:
        changes = [row[place].nll_change / row[place].tokens for row in rows]
        low, high = bca_interval(changes, seed=subject.run.seed)
        return {
            "perplexity": exp(sum(row[place].nll for row in rows) / tokens),
            "nats_change": fmean(changes),
            "low": low,
            "high": high,
            "kl": fmean(row[place].kl for row in rows),
            "texts": len(rows),
            "plain_tokens": tokens,
        }

    found = {"baseline": figures(0)}
    found |= {name: figures(place) for place, name in enumerate(fixed, start=1)}
    return found | {name: {"perplexity": None} for name in tried if name not in fixed}
