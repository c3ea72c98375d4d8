"""What a recipe says about learning in rounds: how to think, what to keep, what to train on, when to stop."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from engines.pruning.hints import DEFAULT_HINT, Hint
from engines.pruning.presets import Preset, with_preset
from engines.recipe.blocks import Block, GenerationBlock, SamplingBlock
from engines.training.supervised_fields import SupervisedRecipe

Grader = Literal["strict", "robust", "openai_strict", "lm_eval_flexible", "tpt_strict"]


LOWEST_ADAPTER_RATE = 1e-5


class EvaluationBlock(Block):
    """How each round is judged: greedily on `dev`, which decides, and on the split that is reported."""

    split: Literal["test", "dev"] = "test"
    """What is reported. The test split decides nothing: rounds are chosen and stopped by `dev`."""
    limit: int | None = Field(None, ge=1)
    """Only the first so many questions of the split. Null: all."""
    num_samples: int | None = Field(4, ge=2)
    """Sampled answers to each, for pass@k and majority votes, beside the greedy one. Null: none."""
    temperature: float | None = Field(None, gt=0, le=10)
    """Temperature of these, the same in all rounds. Null: that of thinking."""
    max_new_tokens: int | None = Field(None, ge=1, le=1 << 20)
    """Longest answer, in tokens. Null: as in thinking."""
    dev_limit: int | None = Field(None, ge=1)
    """Only the first so many development questions. Null: all."""


class StopBlock(Block):
    """When to train no further round."""

    drops: int = Field(2, ge=1)
    """Stop after so many rounds whose robust accuracy on `dev` is below that of the round before by more than `delta`."""
    delta: float = Field(0.02, ge=0, le=1)
    """How much is a fall; 0.02 is two percentage points."""
    max_pass_drop: float | None = Field(0.05, ge=0, le=1)
    """Stop when pass@N of the training questions falls by more than this from one round to the next. Null: never."""
    max_distinct_drop: float | None = Field(None, ge=0, le=1)
    """The same for the share of different solutions, which also falls when a model gets better. Null: never."""


class RoundsRecipe(SupervisedRecipe):
    """Rounds of sampling solutions, keeping the right ones, and training on them."""

    preset: Preset | None = None
    """A published method's settings: `tpt-paper`, `rft`, `star`, `rest-em`. Fields given beside it win."""
    rounds: int = Field(4, ge=1, le=100)
    """Rounds of thinking, pruning and training."""
    num_questions: int | None = Field(None, ge=1)
    """How many training questions to think about; for the same seed, 256 are the first 256 of 512. Null: all."""
    num_samples: int = Field(8, ge=1, le=10_000)
    """Solutions to each question in a round."""
    temperature: float = Field(0.8, ge=0, le=10)
    """Softmax temperature of thinking; above 0 where there is more than one sample."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling: keep the smallest set of tokens with this total probability."""
    top_k: int = Field(0, ge=0)
    """Keep only this many most likely tokens; 0 keeps all."""
    max_new_tokens: int = Field(768, ge=1, le=1 << 20)
    """Longest solution, in tokens."""
    generation: GenerationBlock = GenerationBlock()
    """What generates. The cache is what a killed round goes on from."""
    grader: Grader = "strict"
    """Which solutions are right. `strict` trains on the reasoning in the prompt's format, the others on the model's own text."""
    finished_only: bool = True
    """Leave out solutions that the length limit cut off."""
    step_check: bool = True
    """Leave out solutions in which a sum is wrong (`6 * 4 = 25`), however right the answer is."""
    dedupe: list[Literal["text", "equations", "ngrams"]] = ["text", "equations", "ngrams"]
    """Solutions of a question are one when they have the same words, the same equations, or 80 % of their 5-grams alike."""
    pick: Literal["random", "first", "shortest", "longest", "diverse", "all"] = "random"
    """Which of a question's solutions come first; `diverse` takes those least alike (RFT)."""
    max_per_question: int = Field(1, ge=1)
    """Solutions of a question to train on, at most."""
    rationalize: bool = False
    """Try what no sample solved once more with the answer as a hint (STaR); the row has the plain question."""
    hint: Hint = DEFAULT_HINT
    """How `rationalize` puts the question."""
    add_gold: bool = False
    """Train on the task's own solutions to these questions as well (RFT)."""
    decontaminate: int | None = Field(8, ge=2)
    """Think about no question that shares so many words in a row with a test question. Null: no such check."""
    train_size: int | None = Field(2000, ge=1)
    """Rows of a round, exactly; the rounds end when there are fewer. Null: all that were kept."""
    eval_samples: int = Field(200, ge=1)
    """Questions that no round trains on, for `eval.json` and `eval_steps`; at most a tenth of all."""
    train_from: Literal["base", "previous"] = "base"
    """What each round trains: the recipe's `model`, or the result of the round before."""
    data: Literal["replace", "accumulate"] = "replace"
    """Train on the solutions of this round, or of all so far."""
    num_train_epochs: float = Field(1.0, gt=0, le=1000)
    """Passes over the rows of a round."""
    rounding_is_wanted: bool = False
    """Train even in a precision that rounds almost every update away, as the preset `tpt-paper` does."""
    evaluation: EvaluationBlock = EvaluationBlock()
    """How each round is judged."""
    stop: StopBlock = StopBlock()
    """When to train no further round."""
    result: Literal["best", "last"] = "best"
    """Which round's model the job leaves: the one best on `dev` (robust, greedy), or the last."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, data: Any) -> Any:
        return with_preset(data) if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _is_consistent(self) -> "RoundsRecipe":
        if set(self.report_to) - {"tensorboard"}:
            raise ValueError(
                "`report_to` is `tensorboard` at most: each round counts its steps from 1, and the others keep one run a process"
            )
        if self.temperature == 0 and self.num_samples > 1:
            raise ValueError(
                "`num_samples` above 1 needs `temperature` above 0: greedy samples are all the same"
            )
        if self.temperature == 0 and self.evaluation.num_samples and self.evaluation.temperature is None:
            raise ValueError(
                "`evaluation.num_samples` needs `evaluation.temperature` where thinking is greedy"
            )
        most = self.max_per_question + self.add_gold
        if self.num_questions and self.train_size and self.train_size > self.num_questions * most:
            raise ValueError(
                f"`train_size: {self.train_size}` is more than {self.num_questions} questions (`num_questions`) can give, "
                f"with at most {most} solutions of each; lower it, or set it to null to train on all that are kept"
            )
        return self

    def remarks(self) -> list[str]:
        found = []
        if self.hint != DEFAULT_HINT and not self.rationalize:
            found.append("no effect: `hint`; `rationalize` is false")
        if self.lora is not None and self.peak_learning_rate < LOWEST_ADAPTER_RATE:
            found.append(
                f"`learning_rate: {self.peak_learning_rate:g}` is for training all weights; an adapter hardly learns at it "
                "(set `learning_rate: null` for 1e-4, or `lora: null`)"
            )
        return found

    @property
    def peak_learning_rate(self) -> float:
        return self.learning_rate or (1e-5 if self.lora is None else 1e-4)

    @property
    def thinking(self) -> SamplingBlock:
        names = ("temperature", "top_p", "top_k", "max_new_tokens", "num_samples")
        return SamplingBlock(**{name: getattr(self, name) for name in names})

    @property
    def greedy(self) -> SamplingBlock:
        """How the rounds are judged."""
        return SamplingBlock(max_new_tokens=self.evaluation.max_new_tokens or self.max_new_tokens)

    @property
    def sampled(self) -> SamplingBlock | None:
        """How many ways they have; at one temperature in all rounds, so that they can be compared."""
        if self.evaluation.num_samples is None:
            return None
        fields = {
            "num_samples": self.evaluation.num_samples,
            "temperature": self.evaluation.temperature or self.temperature,
            "max_new_tokens": self.greedy.max_new_tokens,
        }
        return self.thinking.model_copy(update=fields)
