"""Hooks that steer: everything that differs between rows is data, so rows of one batch can be steered each its own way.

What the hooks rely on, because transformers 5 makes the obvious ways fail without a word:

- A block returns a tensor or a tuple, by family; `output[0]` of a tensor is the batch's first row.
- `output_hidden_states` shows a layer as it was before a hook changed it; look with a second hook, or at the logits.
- With a cache a step has one column; which one it is comes from the cache's length, which a hook on the module that runs
  the blocks asks for. No layer is told, and "more than one column means prompt" is wrong for every chunk of a prompt.
- Padding is never steered, and an unsteered element is copied, not added 0 to.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from engines.recipe.errors import RecipeError
from engines.steer.directions import Steering
from engines.steer.placement import constant_from, weights
from engines.steer.sites import find_decoder, module_at
from engines.steer.spec import Dac, Op, Site

Place = tuple[Site, int]


class SteerState:
    """How each row of the batch is steered now. `assign` before a forward pass, or `clear` for one without steering."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rows: Sequence[Steering | None] | None = None
        self.factor: torch.Tensor | None = None
        """(rows,) strengths that multiply those of rows with a `dac` schedule."""
        self._weight = torch.empty(0)
        """(rows, columns): what strengths are multiplied by; where all that are steered have weight 1, which are text."""
        self._at: dict[Place, dict[Op, _Addend]] = {}

    def clear(self) -> None:
        self.rows, self._at = [], {}

    def assign(self, rows: Sequence[Steering | None], last: torch.Tensor, lengths: torch.Tensor) -> None:
        """Steer these rows. `last` (rows,) is the column of each prompt's last token, `lengths` (rows,) the number of
        its tokens, padding not counted."""
        self.rows = rows
        self.factor = None
        self._last, self._lengths = last.to(self.device), lengths.to(self.device)
        self._constant_from = constant_from(rows, last.tolist())
        self._at = {}
        active = [row for row in rows if row is not None and row.spec.alpha != 0]
        for site, layer in sorted({(row.spec.site, layer) for row in active for layer in row.spec.layers}):
            here = [
                row if row and row.spec.site == site and layer in row.spec.layers else None for row in rows
            ]
            ops: list[Op] = sorted({row.spec.op for row in here if row and row.spec.alpha != 0})
            self._at[site, layer] = {op: _Addend(op, layer, here, self.device) for op in ops}

    def begin(self, input_ids: torch.Tensor | None, mask: Any, past: int, batch: int, width: int) -> None:
        """A forward pass over columns `past` to `past + width` begins."""
        if self.rows is None:
            raise RecipeError(
                "steering: a forward pass before any row was assigned", hint="assign or clear first"
            )
        if not self.rows:
            return
        if batch != len(self.rows):
            raise RecipeError(
                f"steering: a batch of {batch} rows, but {len(self.rows)} are assigned",
                hint="give each row its steering; with beams or several samples pass `copies`",
            )
        if mask is None:
            mask = torch.ones(batch, past + width, dtype=torch.long, device=self.device)
        elif not isinstance(mask, torch.Tensor) or mask.dim() != 2 or mask.shape[1] < past + width:
            raise RecipeError(
                "steering: without a mask (rows, columns) nothing tells padding from text",
                hint="call the model with a two-dimensional attention mask",
            )
        if self._constant_from is not None and past >= self._constant_from:
            self._weight = mask[:, past : past + width].ne(0)
            return
        self._weight = weights(self.rows, mask[:, : past + width], input_ids, past, self._last, self._lengths)
        self._weight = self._weight * self._factors()

    def _factors(self) -> torch.Tensor | float:
        dynamic = [row is not None and isinstance(row.spec.schedule, Dac) for row in self.rows or ()]
        if not any(dynamic):
            return 1.0
        if self.factor is None:
            raise RecipeError(
                "steering: a `dac` schedule has no strength here",
                hint="generate with a SteeredGenerator, which computes one a token",
            )
        rows = torch.tensor(dynamic, device=self.device)
        return torch.where(rows, self.factor, 1.0)[:, None]

    def steer(self, place: Place, hidden: torch.Tensor) -> torch.Tensor:
        """(rows, columns, size) with the chosen elements replaced, out of place."""
        for addend in self._at.get(place, {}).values():
            if hidden.shape[:2] != self._weight.shape:
                raise RecipeError(
                    f"steering: {place[0]} {place[1]} has {tuple(hidden.shape)} for {tuple(self._weight.shape)} tokens",
                    hint="steer another site: this one does not keep rows and tokens apart",
                )
            hidden = addend.apply(hidden, self._weight)
        return hidden


class _Addend:
    """What one operation does at one place, for all rows."""

    def __init__(self, op: Op, layer: int, rows: Sequence[Steering | None], device: torch.device) -> None:
        self.op = op
        on = [row is not None and row.spec.op == op and row.spec.alpha != 0 for row in rows]
        some = next(row for row, wanted in zip(rows, on, strict=True) if wanted and row is not None)
        zero = torch.zeros_like(some.vectors[layer], dtype=torch.float32)
        unit = [
            row.vectors[layer].float() if row and wanted else zero
            for row, wanted in zip(rows, on, strict=True)
        ]
        # Strength is multiplied in double and rounded once to float32, then once to what the model computes in.
        scale = [
            row.spec.alpha * (1.0 if op == "project_out" else row.spec.norm_ref[layer])
            if row and wanted
            else 0.0
            for row, wanted in zip(rows, on, strict=True)
        ]
        self.on = torch.tensor(on, device=device)[:, None]
        self.all_on = all(on)
        self.unit = torch.stack(unit).to(device)[:, None]
        self.scale = torch.tensor(scale, dtype=torch.float64).to(torch.float32).to(device)[:, None, None]
        self.delta = self.scale * self.unit
        self._rounded = self.delta

    def apply(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        w = weight[..., None]
        if self.op == "add" and weight.dtype == torch.bool:
            if self._rounded.dtype != hidden.dtype:
                self._rounded = self.delta.to(hidden.dtype)
            steered = hidden + self._rounded
        elif self.op == "add":
            steered = hidden + (w * self.delta).to(hidden.dtype)
        else:
            h = hidden.float()
            along = (h * self.unit).sum(dim=-1, keepdim=True) * self.unit
            if self.op == "project_out":
                steered = h - w * self.scale * along
            elif self.op == "replace_component":
                steered = h + w * (self.delta - along)
            else:
                steered = h + w * self.delta
                steered = steered * (h.norm(dim=-1, keepdim=True) / steered.norm(dim=-1, keepdim=True))
            steered = steered.to(hidden.dtype)
        # Chosen, not multiplied by 0 or 1: an unsteered element keeps its bits, even beside a row that overflows.
        chosen = weight if weight.dtype == torch.bool else weight != 0
        return torch.where((chosen if self.all_on else chosen & self.on)[..., None], steered, hidden)


@contextmanager
def hooked(model: Any, places: Sequence[Place]) -> Iterator[SteerState]:
    """Hooks at these places for as long as the context lasts, whatever ends it. Nothing is steered before `assign`."""
    decoder = find_decoder(model)
    state = SteerState(next(model.parameters()).device)
    with ExitStack() as stack:
        handle = decoder.body.register_forward_pre_hook(_beginning(state, decoder.body), with_kwargs=True)
        stack.callback(handle.remove)
        for site, layer in sorted(set(places)):
            module = module_at(decoder, site, layer)
            if site == "block_out":
                handle = module.register_forward_hook(_output_hook(state, (site, layer)))
            else:
                handle = module.register_forward_pre_hook(_input_hook(state, (site, layer)), with_kwargs=True)
            stack.callback(handle.remove)
        yield state


@contextmanager
def steered(
    model: Any, rows: Sequence[Steering | None], prompt_mask: torch.Tensor, copies: int = 1
) -> Iterator[SteerState]:
    """Steer every forward pass in the context. `prompt_mask` (rows, columns) is 1 on the prompts' tokens; `copies` is the
    number of beams, or of samples, that `generate` makes of each row."""
    columns = torch.arange(1, prompt_mask.shape[1] + 1, device=prompt_mask.device)
    last = (prompt_mask.ne(0) * columns).amax(dim=-1) - 1
    repeated = [row for row in rows for _ in range(copies)]
    with hooked(model, places_of(rows)) as state:
        lengths = prompt_mask.ne(0).sum(dim=-1)
        state.assign(repeated, last.repeat_interleave(copies), lengths.repeat_interleave(copies))
        yield state


def places_of(rows: Sequence[Steering | None]) -> list[Place]:
    """Every place that some row names, rows of strength 0 included."""
    return sorted({(row.spec.site, layer) for row in rows if row is not None for layer in row.spec.layers})


def first_tensor(output: Any) -> torch.Tensor:
    """The hidden states (rows, columns, size) in what a block returns, which is a tensor or a tuple by family."""
    hidden = output[0] if isinstance(output, tuple) else output
    if not isinstance(hidden, torch.Tensor) or hidden.dim() != 3:
        raise RecipeError(
            f"steering: a block gives {type(output).__name__} and no tensor (rows, columns, size)",
            hint="steer a decoder-only model of transformers",
        )
    return hidden


def _output_hook(state: SteerState, place: Place) -> Any:
    def hook(_module: Any, _args: Any, output: Any) -> Any:
        hidden = state.steer(place, first_tensor(output))
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    return hook


def _input_hook(state: SteerState, place: Place) -> Any:
    def hook(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (state.steer(place, first_tensor(args[0])), *args[1:]), kwargs
        name = "hidden_states" if "hidden_states" in kwargs else next(iter(kwargs))
        return args, {**kwargs, name: state.steer(place, first_tensor(kwargs[name]))}

    return hook


def _beginning(state: SteerState, body: torch.nn.Module) -> Any:
    """Tells the state which columns a forward pass is about to read."""
    signature = inspect.signature(body.forward)
    if "past_key_values" not in signature.parameters:
        raise RecipeError(
            f"steering: a {type(body).__name__} takes no key-value cache, so which token it reads cannot be known",
            hint="steer a model with attention",
        )

    def hook(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = kwargs
        if args:
            given = signature.bind_partial(*args, **kwargs).arguments
            given = {**given, **given.get("kwargs", {})}
        ids = given.get("input_ids")
        batch, width = (ids if ids is not None else given["inputs_embeds"]).shape[:2]
        cache = given.get("past_key_values")
        past = 0 if cache is None else int(cache.get_seq_length())
        state.begin(ids, given.get("attention_mask"), past, batch, width)

    return hook
