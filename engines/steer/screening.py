"""What steering does to texts that are given, without generating any: a forward pass for each text and all its steerings.

The prompt up to its last token is read once, and the rows of a pass, one a steering, have no padding between them. The
unsteered row is in every pass, so what strength 0 does comes out as exactly nothing.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from engines.generation.kv_cache import can_select, roomy_cache
from engines.prompts.rendering import token_ids
from engines.recipe.errors import RecipeError
from engines.steer.directions import Steering
from engines.steer.hooks import SteerState, hooked, places_of


@dataclass(frozen=True)
class Forced:
    """One text under one steering, beside the same text without."""

    tokens: int
    """Of the completion."""
    nll: float
    """Negative log-likelihood of the completion in nats, all tokens together."""
    nll_change: float
    """The same minus that without steering: below 0, the text has become likelier."""
    kl: float
    """Mean over tokens of the divergence of the unsteered next-token distribution from the steered one, in nats."""
    entropy_change: float
    """Mean over tokens, in nats."""
    first_token_changed: bool
    """Whether the likeliest first token of the completion is another one."""


@torch.inference_mode()
def force(
    model: Any,
    tokenizer: Any,
    prompt: str,
    completion: str,
    steerings: Sequence[Steering | None],
    batch_size: int = 32,
) -> list[Forced]:
    """The completion's figures under each steering, in their order. The model must be in evaluation mode."""
    before, after = token_ids(tokenizer, prompt), token_ids(tokenizer, completion)
    if not before or not after:
        raise RecipeError("steering: an empty prompt or completion", hint="leave such texts out")
    found: list[Forced] = []
    with hooked(model, places_of(steerings)) as state:
        for begin in range(0, len(steerings), batch_size - 1):
            rows = [None, *steerings[begin : begin + batch_size - 1]]
            found += _compare(_logits(model, state, rows, before, after), after)
    return found


def _logits(
    model: Any, state: SteerState, rows: Sequence[Steering | None], before: list[int], after: list[int]
) -> torch.Tensor:
    """(rows, completion, vocabulary): what each token of the completion is predicted by."""
    cache, device = roomy_cache(model.config), model.device
    spared = all(row is None or row.spec.alpha == 0 or row.spec.spares_the_prompt for row in rows)
    shared = len(before) - 1 if spared and can_select(cache) else 0
    options = {"use_cache": True, "past_key_values": cache}
    if shared:
        state.clear()
        head = torch.tensor([before[:shared]], device=device)
        model(input_ids=head, attention_mask=torch.ones_like(head), **options, **_only_last(model, 1))
        cache.batch_select_indices(torch.zeros(len(rows), dtype=torch.long, device=device))
    last = torch.full((len(rows),), len(before) - 1)
    state.assign(rows, last, last + 1)
    ids = torch.tensor([[*before, *after][shared:-1]] * len(rows), device=device)
    mask = torch.ones(len(rows), shared + ids.shape[1], dtype=torch.long, device=device)
    output = model(input_ids=ids, attention_mask=mask, **options, **_only_last(model, len(after)))
    logits: torch.Tensor = output.logits[:, -len(after) :]
    return logits


def _only_last(model: Any, count: int) -> dict[str, int]:
    """Logits over a large vocabulary are the bulk of the memory; most models can be asked for the last ones only."""
    forward = (model.get_base_model() if hasattr(model, "peft_config") else model).forward
    return {"logits_to_keep": count} if "logits_to_keep" in inspect.signature(forward).parameters else {}


def _compare(logits: torch.Tensor, after: list[int]) -> list[Forced]:
    """Figures of all rows but the first, which is the unsteered one."""
    target = torch.tensor(after, device=logits.device)[:, None]
    plain = logits[0].float().log_softmax(dim=-1)
    base_nll, base_entropy = _nll(plain, target), _entropy(plain)
    first, rows = int(plain[0].argmax()), []
    for row in logits[1:]:
        log_p = row.float().log_softmax(dim=-1)
        nll = _nll(log_p, target)
        rows.append(
            Forced(
                tokens=len(after),
                nll=float(nll),
                nll_change=float(nll - base_nll),
                kl=float((plain.exp() * (plain - log_p)).sum(dim=-1).mean()),
                entropy_change=float(_entropy(log_p) - base_entropy),
                first_token_changed=int(log_p[0].argmax()) != first,
            )
        )
    return rows


def _nll(log_p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return -log_p.gather(-1, target).double().sum()


def _entropy(log_p: torch.Tensor) -> torch.Tensor:
    return -(log_p.exp() * log_p).sum(dim=-1).mean()
