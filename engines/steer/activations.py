"""Reading activations: one forward pass a text for all layers, with hooks, at the tokens that a read position names.

Not `output_hidden_states`: its last entry is behind the final norm, and what it shows of a hooked layer depends on which
hook came first.
"""

import inspect
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from engines.prompts.rendering import token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.steer.hooks import first_tensor
from engines.steer.sites import find_decoder, module_at
from engines.steer.spec import ReadPosition, Site
from engines.tasks.answers import extract

Side = Literal["left", "right"]


@dataclass(frozen=True)
class Reading:
    """A text, and where in it activations are read; with several positions, their mean is."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]


def locate(
    tokenizer: Any, prompt: str, completion: str, spec: PromptSpec, read: ReadPosition
) -> Reading | None:
    """Where to read a completion, or None where it has no such place (no answer, or nothing before it).

    Prompt and completion are made tokens apart, so that the completion begins where generation began.
    """
    before = token_ids(tokenizer, prompt)
    if read == "prompt_last":
        return Reading(tuple(before), (len(before) - 1,))
    encoded = tokenizer(completion, add_special_tokens=False, return_offsets_mapping=True)
    ids = (*before, *encoded["input_ids"])
    if len(ids) == len(before):
        return None
    if read == "answer_last":
        return Reading(ids, (len(ids) - 1,))
    start = _answer_start(completion, spec)
    if start is None:
        return None
    # The token that holds the answer's first digit; what begins before it is the working out.
    first = next(place for place, (_, end) in enumerate(encoded["offset_mapping"]) if end > start)
    if read == "pre_answer":
        return Reading(ids, (len(before) + first - 1,))
    return Reading(ids, tuple(range(len(before), len(before) + first))) if first else None


def _answer_start(completion: str, spec: PromptSpec) -> int | None:
    """Place of the answer's first digit in the completion."""
    answer = extract(spec.prefill + completion, spec)
    if answer.span is None or answer.value is None:
        return None
    start, end = (place - len(spec.prefill) for place in answer.span)
    # Within a span the last number counts, as in "12 + 30 = 42"; a lone one is that as well.
    numbers = [match.start() for match in re.finditer(r"(?<![\d.,])\d", completion[max(0, start) : end])]
    return max(0, start) + numbers[-1] if numbers else None


def read_activations(
    model: Any,
    readings: Sequence[Reading],
    site: Site,
    layers: Sequence[int],
    *,
    pad: int,
    batch_size: int = 32,
    padding: Side = "left",
) -> torch.Tensor:
    """(texts, layers, size) in float32 on the CPU."""
    rows: list[torch.Tensor | None] = [None] * len(readings)
    for places, hidden, starts in _passes(model, readings, site, layers, pad, batch_size, padding):
        for place, read in zip(places, _read(readings, places, hidden, starts, layers), strict=True):
            rows[place] = read
    return torch.stack([row for row in rows if row is not None]) if rows else torch.empty(0, len(layers), 0)


def median_norms(
    model: Any,
    readings: Sequence[Reading],
    site: Site,
    layers: Sequence[int],
    *,
    pad: int,
    batch_size: int = 32,
) -> list[float]:
    """Median length of the activations at each layer, over all positions of all readings: what one unit of a
    norm-relative strength is worth. The positions should be those that will be steered."""
    norms = []
    for places, hidden, starts in _passes(model, readings, site, layers, pad, batch_size, "left"):
        norms.append(_norms(readings, places, hidden, starts, layers))
    return torch.cat(norms, dim=-1).median(dim=-1).values.tolist()


def read_with_norms(
    model: Any,
    readings: Sequence[Reading],
    calibration: Sequence[Reading],
    site: Site,
    layers: Sequence[int],
    *,
    pad: int,
    batch_size: int = 32,
) -> tuple[torch.Tensor, list[float]]:
    """What `read_activations` gives for the readings, and `median_norms` for the calibration. Where both are of the same
    texts, which is the rule, each text is read once for both."""
    if [one.ids for one in readings] != [one.ids for one in calibration]:
        values = read_activations(model, readings, site, layers, pad=pad, batch_size=batch_size)
        return values, median_norms(model, calibration, site, layers, pad=pad, batch_size=batch_size)
    rows, norms = dict[int, torch.Tensor](), []
    for places, hidden, starts in _passes(model, readings, site, layers, pad, batch_size, "left"):
        rows.update(zip(places, _read(readings, places, hidden, starts, layers), strict=True))
        norms.append(_norms(calibration, places, hidden, starts, layers))
    values = torch.stack([rows[place] for place in range(len(readings))])
    return values, torch.cat(norms, dim=-1).median(dim=-1).values.tolist()


def _read(
    readings: Sequence[Reading],
    places: list[int],
    hidden: dict[int, torch.Tensor],
    starts: list[int],
    layers: Sequence[int],
) -> list[torch.Tensor]:
    """(layers, size) on the CPU for each reading of a batch."""
    found = []
    for row, place in enumerate(places):
        columns = torch.tensor(readings[place].positions) + starts[row]
        read = [hidden[layer][row, columns.to(hidden[layer].device)].float().mean(dim=0) for layer in layers]
        found.append(torch.stack(read).cpu())
    return found


def _norms(
    readings: Sequence[Reading],
    places: list[int],
    hidden: dict[int, torch.Tensor],
    starts: list[int],
    layers: Sequence[int],
) -> torch.Tensor:
    """(layers, positions of all readings of a batch), on the CPU."""
    rows = [row for row, place in enumerate(places) for _ in readings[place].positions]
    columns = [starts[row] + at for row, place in enumerate(places) for at in readings[place].positions]
    return torch.stack([hidden[layer][rows, columns].float().norm(dim=-1).cpu() for layer in layers])


def steered_positions(tokenizer: Any, prompt: str, completion: str) -> Reading:
    """The prompt's last token and the completion: what `prompt: last, generation: all` steers."""
    before, after = token_ids(tokenizer, prompt), token_ids(tokenizer, completion)
    ids = (*before, *after)
    return Reading(ids, tuple(range(len(before) - 1, len(ids))))


def _passes(
    model: Any,
    readings: Sequence[Reading],
    site: Site,
    layers: Sequence[int],
    pad: int,
    batch_size: int,
    padding: Side,
) -> Iterator[tuple[list[int], dict[int, torch.Tensor], list[int]]]:
    """For each batch: which readings it holds, the activations (rows, columns, size) by layer, and the column of each
    row's first token. Texts of like length share a batch."""
    body = find_decoder(model).body
    takes_positions = "position_ids" in inspect.signature(body.forward).parameters
    order = sorted(range(len(readings)), key=lambda place: len(readings[place].ids))
    with _listening(model, site, layers) as hidden:
        for begin in range(0, len(order), batch_size):
            places = order[begin : begin + batch_size]
            texts = [readings[place].ids for place in places]
            width = max(map(len, texts))
            starts = [width - len(text) if padding == "left" else 0 for text in texts]
            ids = torch.full((len(texts), width), pad)
            mask = torch.zeros(len(texts), width, dtype=torch.long)
            for row, (text, start) in enumerate(zip(texts, starts, strict=True)):
                ids[row, start : start + len(text)] = torch.tensor(text)
                mask[row, start : start + len(text)] = 1
            options = {"position_ids": (mask.cumsum(dim=-1) - 1).clamp(min=0)} if takes_positions else {}
            arguments = {"input_ids": ids, "attention_mask": mask, **options}
            hidden.clear()
            with torch.inference_mode():
                body(**{name: value.to(model.device) for name, value in arguments.items()}, use_cache=False)
            if len(hidden) < len(set(layers)):
                raise RecipeError("steering: a layer was not run", hint="read at other layers")
            yield places, hidden, starts


@contextmanager
def _listening(model: Any, site: Site, layers: Sequence[int]) -> Iterator[dict[int, torch.Tensor]]:
    """What passes the site in each layer, newest forward pass only; the model is in evaluation mode meanwhile."""
    decoder, hidden, was_training = find_decoder(model), dict[int, torch.Tensor](), model.training

    def listen(layer: int) -> Any:
        if site == "block_out":
            return lambda _module, _args, output: hidden.update({layer: first_tensor(output)})
        return lambda _module, args, kwargs: hidden.update(
            {layer: first_tensor(args[0] if args else kwargs.get("hidden_states"))}
        )

    with ExitStack() as stack:
        for layer in layers:
            module = module_at(decoder, site, layer)
            if site == "block_out":
                handle = module.register_forward_hook(listen(layer))
            else:
                handle = module.register_forward_pre_hook(listen(layer), with_kwargs=True)
            stack.callback(handle.remove)
        stack.callback(model.train, was_training)
        model.eval()
        yield hidden
