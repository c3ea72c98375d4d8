"""What a Step-JEPA recipe says about steps and about the embedding loss."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from engines.recipe.blocks import Block

Mode = Literal["regular", "monitor", "text_code", "step", "steps", "stp"]
Control = Literal["none", "shuffle", "random_boundary", "same_compute"]
Distance = Literal["cosine", "l2", "mse", "smooth_l1", "infonce"]
Splitter = Literal["lines", "blank_line", "numbered", "sentence"]
Target = Literal["isolated", "bos", "question", "contextual"]
"""What the copy of a step sees beside itself: nothing, the first token, the prompt; `contextual` reads the original."""
Readout = Literal["separator", "last_content", "mean"]
"""Where a step's embedding is read: its very last token, the last of its own text, or the mean over all of it."""


class StepsBlock(Block):
    """How a worked solution is cut into reasoning steps. A part headed `Final Answer` is none, and ends them."""

    splitter: Splitter = "lines"
    """`lines`: a step a line (GSM8K); `blank_line`: text between blank lines; `numbered`: `1.` or `Step 1:`; `sentence`."""
    pattern: str | None = Field(None, min_length=1)
    """A regular expression for what separates two steps, `^` being the start of a line; takes precedence over `splitter`."""
    min_characters: int = Field(1, ge=1)
    """A shorter piece is joined to the step before it."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                matches_nothing = re.compile(pattern, re.MULTILINE).match("")
            except re.error as error:
                raise ValueError(f"is not a regular expression: {error}") from error
            if matches_nothing:
                raise ValueError("matches the empty text, so it would cut everywhere")
        return pattern


class JepaBlock(Block):
    """The embedding loss: what predicts what, how far off it is, and how much that counts."""

    mode: Mode = "steps"
    """`steps`: every step predicts the next; `step`: the first the second; `text_code`: the question the solution (LLM-JEPA);
    `stp`: semantic tubes; `monitor`: `steps`, measured but not trained on; `regular`: ordinary fine-tuning."""
    control: Control = "none"
    """What ought to show no effect: `shuffle` permutes the targets over examples, `random_boundary` cuts steps anywhere,
    `same_compute` does all the work and gives it no weight."""
    predictors: int = Field(2, ge=0, le=8)
    """Predictor tokens behind a step (K); 0 predicts from the step's last token."""
    predictor: Literal["tokens", "linear", "mlp", "none"] = "tokens"
    """What turns a state into a prediction: tokens of their own in the model, a layer on top of it, or nothing."""
    horizon: int = Field(1, ge=1, le=8)
    """How many steps ahead is predicted."""
    target: Target = "isolated"
    """What a step's own embedding may depend on: the step alone, with the first token, with the question, or all before it."""
    readout: Readout = "separator"
    """Where a step's embedding is read: its very last token, the last one of its own text, or the mean."""
    distance: Distance = "cosine"
    """How far a prediction is from its target."""
    temperature: float = Field(0.07, gt=0)
    """Of `infonce`."""
    target_grad: Literal["symmetric", "stop", "ema"] = "symmetric"
    """Whether the target learns too (as published), or not, or is read by a slow average of the model."""
    ema_momentum: float = Field(0.99, ge=0, lt=1)
    """How much of the slow average each step keeps."""
    gamma: float = Field(1.0, ge=0)
    """Weight of the language-model loss."""
    lambda_: float = Field(0.1, ge=0, alias="lambda")
    """Weight of the embedding loss."""
    lambda_warmup_steps: float = Field(0.0, ge=0)
    """Steps over which `lambda` grows from 0; below 1 it is a share of all steps."""
    loss_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the optimizer steps that do without the embedding loss, and without its cost."""
    attention: Literal["model", "flex_attention"] = "model"
    """Kernel of the training: the model's own, or flex_attention, which skips blocks that nobody sees (CUDA only)."""
    panel_examples: int = Field(64, ge=2)
    """Held-out examples on which retrieval and the shape of the embeddings are measured: traces beyond `train_samples`, if
    there are any, else development examples."""
    panel_steps: int = Field(10, ge=1)
    """Measure on them every so many steps, and before the first and after the last. Gradients are compared as often."""

    @model_validator(mode="after")
    def _learns_something(self) -> "JepaBlock":
        weightless = (
            self.lambda_ == 0 or self.control == "same_compute" or self.mode in ("regular", "monitor")
        )
        if self.gamma == 0 and weightless:
            raise ValueError(
                "`gamma: 0` leaves nothing to learn, since the embedding loss has no weight either"
            )
        return self

    @property
    def is_flex(self) -> bool:
        """Whether the training runs with flex attention, whatever the model's own kernel is."""
        return self.attention == "flex_attention" and self.mode != "regular"

    @property
    def tokens(self) -> int:
        """How many predictor tokens a row gets behind a step."""
        return self.predictors if self.predictor == "tokens" and self.mode not in ("stp", "regular") else 0
