"""What the gates are run on, and how they compare what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from engines.prompts.rendering import token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.steer.directions import Directions, Steering
from engines.steer.hooks import first_tensor, steered
from engines.steer.sites import find_decoder, module_at
from engines.steer.stepping import Stepper
from engines.tasks.example import Example

Figures = dict[str, float | int]
_ROUNDING = 10.0
"""How much further apart than without steering two ways of computing may be: steering leaves where the model is smooth."""
_FLOOR = 1e-4
"""Share of the largest logit that rounding may always cost; in narrow types, four units in the last place."""


@dataclass(eq=False)
class Bench:
    """What the gates are run on."""

    model: Any
    tokenizer: Any
    prompts: Sequence[str]
    """Rendered; 32 or more for a verdict that means something."""
    directions: Directions
    layers: tuple[int, ...]
    """The layers that the search may use."""
    alpha: float
    """A strength that the search may use."""
    sampling: SamplingBlock
    prompt: PromptSpec
    examples: Sequence[Example]
    """Whose gold answers the scorer is tested on."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Fields of the spec that the search keeps: `where`, `op`."""
    batch_size: int = 64
    steps: int = 16
    """Tokens after the prompt over which logits are compared."""

    def steering(self, alpha: float, *layers: int) -> Steering:
        return self.directions.steering(layers or self.layers[:1], alpha, **self.fields)

    @cached_property
    def middle(self) -> int:
        return self.layers[len(self.layers) // 2]

    @cached_property
    def mixed(self) -> list[Steering | None]:
        """A row of every kind: strengths, signs and layers differ."""
        return [
            self.steering(self.alpha, self.middle),
            self.steering(0.0, *self.layers),
            self.steering(-self.alpha, self.layers[-1]),
            None,
            self.steering(2 * self.alpha, *self.layers[:2]),
        ]

    @cached_property
    def stepper(self) -> Stepper:
        """A few prompts of different lengths, with what the model itself writes after them."""
        texts = sorted(self.prompts, key=len)
        texts = [texts[place * len(texts) // 10] for place in range(10)] if len(texts) >= 10 else texts
        prompts = [token_ids(self.tokenizer, text) for text in texts]
        written: list[list[int]] = [[] for _ in prompts]
        pad = self.tokenizer.pad_token_id
        for _ in range(self.steps):
            logits = Stepper(self.model, pad, prompts, written).whole()[:, -1]
            for tokens, token in zip(written, logits.argmax(dim=-1).tolist(), strict=True):
                tokens.append(token)
        return Stepper(self.model, pad, prompts, written)

    @cached_property
    def plain(self) -> torch.Tensor:
        """The stepper's logits without any hook, token by token."""
        return self.stepper.cached()

    @property
    def rows(self) -> list[Steering | None]:
        """One steering for each row of the stepper."""
        return [self.mixed[row % len(self.mixed)] for row in range(len(self.stepper.ids))]


def only_rounding(
    one: torch.Tensor, other: torch.Tensor, plain_one: torch.Tensor, plain_other: torch.Tensor
) -> tuple[bool, Figures]:
    """Whether two ways of computing steered logits are no further apart than rounding takes them without steering."""
    noise = float((plain_one.float() - plain_other.float()).abs().max())
    floor = max(_FLOOR, 4 * torch.finfo(plain_one.dtype).eps)
    allowed = _ROUNDING * noise + floor * float(plain_one.float().abs().max())
    figures = {**apart(one, other), "without_steering": noise, "allowed": allowed}
    return figures["largest_logit_difference"] <= allowed, figures


def alone(bench: Bench, rows: Sequence[Steering | None]) -> torch.Tensor:
    """The stepper's logits, each row in a batch of its own."""
    stepper, logits = bench.stepper, []
    for place, row in enumerate(rows):
        ids = stepper.ids[place][stepper.mask[place].bool()].tolist()
        one = Stepper(bench.model, 0, [ids[: -bench.steps]], [ids[-bench.steps :]])
        with steered(bench.model, [row], one.prompt_mask):
            logits.append(one.cached())
    return torch.cat(logits)


def apart(one: torch.Tensor, other: torch.Tensor) -> Figures:
    """How far two tensors of logits (rows, steps, vocabulary) are apart."""
    difference = (one.float() - other.float()).abs().max()
    same = (one.argmax(dim=-1) == other.argmax(dim=-1)).float().mean()
    return {
        "bitwise": int(torch.equal(one, other)),
        "largest_logit_difference": float(difference),
        "token_agreement": float(same),
    }


def outputs_around(bench: Bench, row: Steering, layer: int) -> tuple[torch.Tensor, torch.Tensor, torch.dtype]:
    """The site's activations (rows, columns, size) before the hook and after it, in one pass, and their precision."""
    module, seen = module_at(find_decoder(bench.model), row.spec.site, layer), []

    def look(_module: Any, args: Any, output: Any = None) -> None:
        seen.append(first_tensor(args[0] if output is None else output).detach().clone())

    at_output = row.spec.site == "block_out"
    register = module.register_forward_hook if at_output else module.register_forward_pre_hook
    first = register(look)
    try:
        with steered(bench.model, [row] * len(bench.stepper.ids), bench.stepper.prompt_mask):
            second = register(look)
            try:
                bench.stepper.whole()
            finally:
                second.remove()
    finally:
        first.remove()
    return seen[0], seen[1], seen[0].dtype


def count_hooks(model: Any) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
