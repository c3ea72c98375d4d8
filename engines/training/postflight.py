"""Checks after training: the saved result differs from its parent, and is what was trained.

Each is a function that raises RecipeError, so that each can be tested where it fires.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from engines.events import EventWriter
from engines.generation.context import context_length
from engines.generation.generator import complete, requests_for
from engines.generation.hf import HfGenerator
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError

_COMPARED = 32
"""Tokens of each prompt's completion that are compared, where the model's context has room for them."""
_FEW = 0.2
"""Full training in float32 changes nearly all weights, in bfloat16 at a rate of 1e-6 about one in fifty."""
_SAMPLED = 65_536
"""Elements of each tensor that are remembered: enough to tell, and little memory for large models."""


def snapshot(model: Any) -> dict[str, torch.Tensor]:
    """A sample of every trainable tensor, to compare with after training."""
    return {
        name: parameter.detach().flatten()[:_SAMPLED].cpu().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def check_finite(model: Any) -> None:
    """Trained weights must be numbers."""
    broken = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and not parameter.isfinite().all()
    ]
    if broken:
        raise RecipeError(
            f"training diverged: {len(broken)} trained tensors hold nan or infinity ({broken[0]} first)",
            hint="lower `learning_rate`, lengthen the warm-up, or lower `max_grad_norm`",
        )


def check_weights_changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> float:
    """The share of the elements that changed; none at all means that nothing was trained."""
    changed = sum(int((before[name] != after[name]).sum()) for name in before)
    if changed == 0:
        raise RecipeError(
            "training ended with exactly the weights that it began with",
            hint="if there were few steps, all may have been warm-up: set `warmup_steps: 0`; else check that the adapter "
            "is trainable and that `learning_rate` is not too small for the dtype",
        )
    return changed / sum(tensor.numel() for tensor in before.values())


def hardly_changed(share: float) -> str | None:
    """A remark where most trained weights are what they were, as when a precision rounds the updates away."""
    if share >= _FEW:
        return None
    return (
        f"only {share:.1%} of the trained weights changed at all: the learning rate may be too small for their dtype, "
        "or the steps too few"
    )


def check_trained(model: Any, before: dict[str, torch.Tensor], events: EventWriter) -> float:
    """All of the above: the share of the trained elements that changed. Hardly any is said, not refused."""
    check_finite(model)
    changed = check_weights_changed(before, snapshot(model))
    if remark := hardly_changed(changed):
        events.message(remark, "warning")
    return changed


def check_same_outputs(in_memory: list[list[int]], reloaded: list[list[int]]) -> None:
    """What was saved must generate what the trained model generated."""
    different = sum(a != b for a, b in zip(in_memory, reloaded, strict=True))
    if different:
        raise RecipeError(
            f"the saved model generates something else than the trained one for {different} of {len(in_memory)} prompts",
            hint="the saved files are not what was trained: check for modules that are trained but not saved",
        )


def check_adapter_is_active(model: Any, input_ids: torch.Tensor) -> None:
    """With the adapter switched off, the logits must change."""
    with torch.no_grad():
        active = model(input_ids=input_ids).logits
        with model.disable_adapter():
            inactive = model(input_ids=input_ids).logits
    if torch.equal(active, inactive):
        raise RecipeError(
            "the adapter has no effect: the logits are the same with and without it",
            hint="check `lora.target_modules`, and that training took at least one step",
        )


def check_saved(model: Any, tokenizer: Any, directory: Path, prompts: list[str]) -> None:
    """What was saved generates what was trained, and an adapter has an effect."""
    in_memory = _greedy(model, tokenizer, prompts)
    if hasattr(model, "peft_config"):
        ids = tokenizer(prompts[:1], add_special_tokens=False, return_tensors="pt")["input_ids"]
        check_adapter_is_active(model, ids.to(model.device))
        with saved_adapter(model, directory):
            reloaded = _greedy(model, tokenizer, prompts)
    else:
        # Another kernel rounds otherwise, which in bfloat16 is enough to change what is generated.
        attention = model.config._attn_implementation
        saved = type(model).from_pretrained(directory, dtype=model.dtype, attn_implementation=attention)
        saved.to(model.device)
        reloaded = _greedy(saved, tokenizer, prompts)
    check_same_outputs(in_memory, reloaded)


def _greedy(model: Any, tokenizer: Any, prompts: list[str]) -> list[list[int]]:
    generator = HfGenerator(model, tokenizer, batch_size=len(prompts))
    longest = max(map(len, tokenizer(prompts, add_special_tokens=False)["input_ids"]))
    room = (context_length(model.config) or longest + _COMPARED) - longest
    sampling = SamplingBlock(max_new_tokens=min(_COMPARED, room))
    completions = complete(generator, requests_for(prompts, 1), sampling, [], seed=0)
    return [completion.token_ids for completion in completions]


@contextmanager
def saved_adapter(model: Any, directory: Path) -> Iterator[None]:
    """The model with the adapter as it was saved, in place of the one in memory, for as long as the block lasts."""
    trained = model.active_adapter
    model.load_adapter(str(directory), adapter_name="saved", torch_device=str(model.device))
    try:
        model.set_adapter("saved")
        yield
    finally:
        model.set_adapter(trained)
        model.delete_adapter("saved")
