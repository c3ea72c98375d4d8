"""Checks before training: each refuses a run that could not mean what it says.

Every check is a function of plain values that raises RecipeError, so that each can be tested where it fires.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import torch

from engines.recipe.errors import RecipeError

LOWEST_LOW_PRECISION_RATE = 1e-4
"""Below this learning rate, rounding to 8 bits of mantissa swallows most updates of the weights."""


class Row(Protocol):
    """What the checks need of a training row."""

    @property
    def id(self) -> str: ...
    @property
    def input_ids(self) -> list[int]: ...
    @property
    def labels(self) -> list[int]: ...


AnyRow = TypeVar("AnyRow", bound=Row)


def check_trainable(model: Any) -> int:
    """How many parameters will be trained; none at all is a frozen adapter."""
    count = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if count == 0:
        raise RecipeError(
            "the model has no trainable parameter, so training would run to the end and change nothing",
            hint="load an adapter with `is_trainable`, give a `lora` block, or set `lora: null` to train all weights",
        )
    return count


def check_prompt_is_prefix(prompt_ids: Sequence[int], input_ids: Sequence[int], where: str) -> None:
    """The prompt must be the same tokens in training and in generation."""
    if list(input_ids[: len(prompt_ids)]) != list(prompt_ids):
        raise RecipeError(
            f"{where}: tokens merge across the end of the prompt, so training would show the model another prompt "
            "than generation does",
            hint="end the chat template's generation prompt (or `prompt.prefill`) with a special token or a newline",
        )


def own_bos(tokenizer: Any) -> int | None:
    """The BOS token; None where it is EOS too, as for GPT-2 and its kin, and then ends every turn of the chat."""
    bos: int | None = tokenizer.bos_token_id
    return None if bos == tokenizer.eos_token_id else bos


def check_single_bos(input_ids: Sequence[int], bos: int | None, where: str) -> None:
    if bos is not None and list(input_ids).count(bos) > 1:
        raise RecipeError(
            f"{where}: the row holds more than one beginning-of-sequence token",
            hint="remove the BOS token from `model.chat_template` or from the data",
        )


def check_ends_are_trained(
    rows: Iterable[Row], ends: frozenset[int], is_blank: Callable[[int], bool] = lambda _token: False
) -> None:
    """Every row must teach the model to stop: its last label, white space aside, is an end token."""
    for row in rows:
        last = next((label for label in reversed(row.labels) if not is_blank(label)), None)
        if last not in ends:
            raise RecipeError(
                f"{row.id}: the row does not end with a trained end-of-sequence token, so the model would never "
                "learn to stop",
                hint="use a chat template that ends the assistant's turn with the tokenizer's EOS token",
            )


def drop_long_rows(rows: Sequence[AnyRow], max_length: int, drop_long: bool) -> list[AnyRow]:
    """The rows that fit. Longer ones would be cut and lose their answer, so they go only when the recipe says so."""
    kept = [row for row in rows if len(row.input_ids) <= max_length]
    too_long = len(rows) - len(kept)
    if too_long and not drop_long:
        longest = max(len(row.input_ids) for row in rows)
        raise RecipeError(
            f"max_length: {too_long} of {len(rows)} rows are longer than {max_length} tokens (the longest: {longest})",
            hint=f"set `max_length: {longest}`, or `drop_long: true` to train without them",
        )
    if not kept:
        raise RecipeError(
            f"max_length: no row is as short as {max_length} tokens", hint="set a larger `max_length`"
        )
    return kept


def check_context(rows: Sequence[Row], config: Any) -> None:
    """Positions that the model was never made for have no meaning to it, or crash on a GPU without a word."""
    context = getattr(config.get_text_config(), "max_position_embeddings", None)
    longest = max((len(row.input_ids) for row in rows), default=0)
    if context is not None and longest > context:
        raise RecipeError(
            f"max_length: a row has {longest} tokens, and the model's context is {context}",
            hint=f"set `max_length: {context}` and `drop_long: true` to train without such rows",
        )


def check_precision(parameters: Iterable[torch.nn.Parameter], learning_rate: float) -> None:
    """Trained weights in 16 bits with a small learning rate hardly move: the updates are rounded away."""
    low = {parameter.dtype for parameter in parameters if parameter.requires_grad} & {
        torch.bfloat16,
        torch.float16,
    }
    if low and learning_rate < LOWEST_LOW_PRECISION_RATE:
        raise RecipeError(
            f"learning_rate: {learning_rate:g} with weights in {str(low.pop()).removeprefix('torch.')} is rounded away; "
            "almost no weight would change",
            hint="use `model.dtype: float32` (computation stays in bfloat16 with `bf16: true`), or train an adapter",
        )


def check_pad(pad: int | None, ends: frozenset[int]) -> None:
    """Where padding is an end token, something will mask or stop at the wrong one."""
    if pad is None or pad in ends:
        what = "has no pad token" if pad is None else f"pads with token {pad}, which is also an end token"
        raise RecipeError(
            f"the tokenizer {what}: models saved like this stop at once or never",
            hint="set `pad_token` in tokenizer_config.json to a token of its own",
        )
