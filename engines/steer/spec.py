"""What a steered generation is, in full: frozen, hashed and without torch, so that a recipe or a report can hold one.

Sources disagree on every choice here (where to read, where to add, how strength is counted), so nothing is implied: a
`SteerSpec` says all of it, and `PRESETS` spells out what published methods mean.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from engines.recipe.blocks import Block

Site = Literal["block_out", "block_in", "o_proj_in"]
"""Where in a block: its output, its input, or what goes into the attention's output projection."""
Op = Literal["add", "add_norm_preserving", "project_out", "replace_component"]
NormKind = Literal["residual", "raw_difference", "unit"]
ReadPosition = Literal["answer_last", "cot_mean", "pre_answer", "prompt_last"]
"""Where activations are read: the text's last token, the mean over the working out, the token before the answer's
first digit, the prompt's last token."""


class Where(Block):
    """Which tokens are steered. Padding never is."""

    prompt: Literal["none", "last", "all", "window"] = "last"
    """Tokens of the prompt. `last` leaves the others' keys and values free of the strength, so they can be shared."""
    prompt_window: tuple[int, int] | None = None
    """Half-open, counted over the prompt's real tokens; negative from its end, where a stop of 0 is the end."""
    generation: Literal["none", "all", "window", "tokens"] = "all"
    """Tokens of the completion, as they are fed back."""
    generation_window: tuple[int, int] | None = None
    """Half-open, counted from the first token of the completion."""
    tokens: tuple[int, ...] = ()
    """With `generation: tokens`: only these token ids."""

    @model_validator(mode="after")
    def _has_what_it_names(self) -> "Where":
        if (self.prompt == "window") != (self.prompt_window is not None):
            raise ValueError("`prompt_window` goes with `prompt: window`, and only with it")
        if (self.generation == "window") != (self.generation_window is not None):
            raise ValueError("`generation_window` goes with `generation: window`, and only with it")
        if (self.generation == "tokens") != bool(self.tokens):
            raise ValueError("`tokens` goes with `generation: tokens`, and only with it")
        return self


class Schedule(Block):
    """How strength changes with the step: 0 at the last token of the prompt (and before), 1 at the first generated."""

    kind: Literal["const", "linear_decay", "exp", "first_k"] = "const"
    """`linear_decay`: 1 - t / steps, not below 0. `exp`: e^(-rate t). `first_k`: 1 while t < steps, then 0."""
    steps: int | None = Field(None, ge=1)
    rate: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _has_its_parameter(self) -> "Schedule":
        if (self.kind in ("linear_decay", "first_k")) != (self.steps is not None):
            raise ValueError("`steps` goes with `linear_decay` and `first_k`, and only with them")
        if (self.kind == "exp") != (self.rate is not None):
            raise ValueError("`rate` goes with `exp`, and only with it")
        return self


class Dac(Block):
    """Strength per token from how far steering moves the next-token distribution (Scalena et al. 2024, 2406.17563)."""

    kind: Literal["dac"] = "dac"
    kl_dir: Literal["orig||steer", "steer||orig"] = "orig||steer"
    """Which divergence: KL of the unsteered from the steered distribution, or the other way round."""
    kl_norm: Literal["none", "nucleus"] = "none"
    """`nucleus` divides by the number of tokens in the nucleus, as the published code does and its paper does not."""
    top_p: float = Field(0.9, gt=0, le=1)
    """The divergence is taken over the union of both nuclei."""
    keep_crossing: bool = True
    """Whether a nucleus holds the token that takes it over `top_p`. Without it, it can be empty: strength 0."""
    alpha_probe: float = Field(2.0, gt=0)
    """Strength that the steered distribution is taken at."""
    cap: float = Field(2.0, gt=0)
    """Largest strength."""
    history: bool = True
    """Whether earlier tokens stay steered by what was computed for them; otherwise only the newest is."""


class SteerSpec(Block):
    """One intervention: at each layer l, delta_l = alpha * norm_ref_l * v_l with a unit vector v_l.

    `alpha: 0` is no steering at all, whatever the operation.
    """

    site: Site = "block_out"
    layers: tuple[int, ...] = Field(min_length=1)
    """Blocks, counted from 0, ascending."""
    vectors: dict[int, str]
    """Layer: sha256 of the unit vector's float32 bytes."""
    norm_ref: dict[int, float]
    """Layer: what one unit of alpha is worth there, in the activations' own units."""
    norm_kind: NormKind = "residual"
    """Where `norm_ref` comes from: median norm of the activations, length of the raw difference of means, or 1."""
    alpha: float
    """Strength in units of `norm_ref`; a negative one turns the vector round."""
    op: Op = "add"
    """`add`: h + delta. `add_norm_preserving`: the same, rescaled to the norm of h. `project_out`: h - alpha (h.v) v.
    `replace_component`: h - (h.v) v + delta."""
    where: Where = Where()
    schedule: Annotated[Schedule | Dac, Field(discriminator="kind")] = Schedule()
    """How strength changes from token to token."""
    read: ReadPosition = "answer_last"
    """Where the vectors were read; a record, steering does not depend on it."""
    method: str = "mean_difference"
    """How the vectors were made; a record as well."""
    preset: str | None = None
    """The preset this was made from, if any; no part of the hash."""

    @model_validator(mode="after")
    def _is_consistent(self) -> "SteerSpec":
        if list(self.layers) != sorted(set(self.layers)) or self.layers[0] < 0:
            raise ValueError("`layers` are block numbers from 0, ascending, each once")
        for name, table in (("vectors", self.vectors), ("norm_ref", self.norm_ref)):
            if set(table) != set(self.layers):
                raise ValueError(f"`{name}` must have exactly the layers {list(self.layers)}")
        if any(norm <= 0 for norm in self.norm_ref.values()):
            raise ValueError("`norm_ref` must be above 0")
        if isinstance(self.schedule, Dac):
            plain = self.where.prompt == "last" and self.where.generation == "all" and self.op == "add"
            if not plain:
                raise ValueError("a `dac` schedule needs `prompt: last`, `generation: all` and `op: add`")
        return self

    def hash(self) -> str:
        """64 hex characters: equal exactly where the intervention is."""
        fields = self.model_dump(mode="json", exclude={"preset", "read", "method"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    @property
    def spares_the_prompt(self) -> bool:
        """Whether all of the prompt but its last token is read as without steering."""
        return self.where.prompt in ("none", "last")


_LAST_AND_ON: dict[str, Any] = {"prompt": "last", "generation": "all"}
PRESETS: dict[str, dict[str, Any]] = {
    # Rimsky et al. 2024 (2312.06681), nrimsky/CAA: from the last token of the instruction on, raw differences.
    "caa-paper": {
        "site": "block_out", "op": "add", "where": _LAST_AND_ON, "schedule": {"kind": "const"},
        "norm_kind": "raw_difference", "read": "answer_last", "method": "mean_difference",
    },
    # wisent-guard's CAA class: the last token but one of the prompt, then every token that is fed back.
    "caa-wisent": {
        "site": "block_out", "op": "add", "schedule": {"kind": "const"},
        "where": {"prompt": "window", "prompt_window": (-2, -1), "generation": "all"},
        "norm_kind": "raw_difference", "read": "answer_last", "method": "mean_difference",
    },
    # vgel/repeng: unit vectors from the principal direction of the differences, at every token, the prompt's included.
    "repeng": {
        "site": "block_out", "op": "add", "schedule": {"kind": "const"},
        "where": {"prompt": "all", "generation": "all"},
        "norm_kind": "unit", "read": "answer_last", "method": "pca",
    },
    # Scalena, Sarti and Nissim 2024, the published code: "batchmean" of one-dimensional tensors divides by their length.
    "dac-scalena-code": {
        "site": "o_proj_in", "op": "add", "where": _LAST_AND_ON, "norm_kind": "raw_difference",
        "schedule": {"kind": "dac", "kl_dir": "orig||steer", "kl_norm": "nucleus"},
        "read": "answer_last", "method": "mean_difference",
    },
    # The same as the paper's equations have it.
    "dac-paper": {
        "site": "o_proj_in", "op": "add", "where": _LAST_AND_ON, "norm_kind": "raw_difference",
        "schedule": {"kind": "dac", "kl_dir": "orig||steer", "kl_norm": "none"},
        "read": "answer_last", "method": "mean_difference",
    },
    # wisent-guard's DAC on the residual stream, without its unsteered distribution being taken with the hooks still on.
    "dac-wisent": {
        "site": "block_out", "op": "add", "where": _LAST_AND_ON, "norm_kind": "raw_difference",
        "schedule": {
            "kind": "dac", "kl_dir": "steer||orig", "kl_norm": "none", "keep_crossing": False, "history": False,
        },
        "read": "answer_last", "method": "mean_difference",
    },
}  # fmt: skip
"""What published methods mean by steering, as fields of a `SteerSpec`. Layers, vectors and strength come from the run."""


def from_preset(name: str, **fields: Any) -> SteerSpec:
    """The preset's fields with the run's on top. KeyError for a name that is not in the table."""
    return SteerSpec.model_validate({**PRESETS[name], "preset": name, **fields})
