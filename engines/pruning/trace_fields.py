"""What a recipe says about making traces: which questions, how many attempts, and what stands in for a solution."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from engines.prompts.spec import PromptSpec
from engines.pruning.hints import DEFAULT_HINT, Hint
from engines.recipe.blocks import BaseRecipe, GenerationBlock, ModelBlock, SamplingBlock, Split, Task

TAKEN = frozenset({"attempts.jsonl", "events.jsonl", "generated.jsonl"})
"""Files of a run that the traces must not overwrite."""


class TracesRecipe(BaseRecipe):
    """How traces are made."""

    model: ModelBlock
    """The model that solves the questions."""
    task: Task
    """Where the questions come from."""
    split: Split = "train"
    """Only `train`: traces are trained on, and `dev` and `test` must not be."""
    prompt: PromptSpec = PromptSpec()
    """How questions are put and answers are delimited; the same as in training."""
    num_samples: int | None = Field(None, ge=1)
    """How many questions; for the same seed, 256 are the first 256 of 512, and those that `sft` trains on. Null: all."""
    max_attempts: int = Field(5, ge=1, le=1000)
    """Attempts at a question before it counts as unsolved."""
    fallback: Literal["gold", "drop", "rationalize"] = "gold"
    """For an unsolved question: the task's own solution, no row, or one more attempt with the answer as a hint (STaR)."""
    hint: Hint = DEFAULT_HINT
    """How `rationalize` puts the question. The row that comes of it has the plain question."""
    temperature: float = Field(0.8, ge=0, le=10)
    """Softmax temperature; above 0 where there is more than one attempt."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling: keep the smallest set of tokens with this total probability."""
    top_k: int = Field(0, ge=0)
    """Keep only this many most likely tokens; 0 keeps all."""
    max_new_tokens: int = Field(256, ge=1, le=1 << 20)
    """Longest attempt, in tokens."""
    generation: GenerationBlock = GenerationBlock(batch_size=32)
    """What generates the attempts."""
    output_file: str = Field("traces.jsonl", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.jsonl$")
    """Name of the file of traces in the run directory; its statistics go to the same name with `.stats.json` added."""

    @field_validator("split")
    @classmethod
    def _is_training_material(cls, split: Split) -> Split:
        if split != "train":
            raise ValueError(f"traces are trained on, and questions of `{split}` must not be; use `train`")
        return split

    @field_validator("output_file")
    @classmethod
    def _is_no_file_of_the_run(cls, name: str) -> str:
        if name in TAKEN:
            raise ValueError(
                "the run keeps a file of its own under this name; use another, such as `traces.jsonl`"
            )
        return name

    @model_validator(mode="after")
    def _attempts_differ(self) -> "TracesRecipe":
        if self.temperature == 0 and self.max_attempts > 1:
            raise ValueError(
                "`max_attempts` above 1 needs `temperature` above 0: greedy attempts are all the same"
            )
        return self

    def remarks(self) -> list[str]:
        if self.hint != DEFAULT_HINT and self.fallback != "rationalize":
            return ["no effect: `hint`; `fallback` is not `rationalize`"]
        return []

    @property
    def sampling(self) -> SamplingBlock:
        names = ("temperature", "top_p", "top_k", "max_new_tokens")
        return SamplingBlock(**{name: getattr(self, name) for name in names})
