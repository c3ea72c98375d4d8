"""What a recipe says about a search for steering: where directions come from, what is tried, and on which questions."""

from typing import Any, Literal

from pydantic import Field, model_validator

from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import BaseRecipe, Block, ModelBlock, SamplingBlock, Task
from engines.statistics.power import mcnemar_power
from engines.steer.spec import Op, ReadPosition, Site, Where

Grader = Literal["strict", "robust", "openai_strict", "lm_eval_flexible", "tpt_strict"]
Method = Literal["mean_difference", "pca", "logistic"]
Kind = Literal["constant", "dac"]
_DISCORDANCE = 0.1
"""Share of questions that end otherwise under steering, for what the splits can show."""


class VectorsBlock(Block):
    """How directions are found."""

    methods: list[Method] = Field(["mean_difference"], min_length=1)
    """One study is searched for each: mean difference of right and wrong, principal direction of the differences, probe."""
    pairs: Literal["P0", "P1", "P2"] = "P2"
    """Texts to compare. P0: gold and another gold answer; P1: gold and corrupted working out; P2: the model's own samples."""
    read: ReadPosition = "answer_last"
    """Where the activations of a text are read."""
    site: Site = "block_out"
    """Where in a block they are read, and steered."""
    num_samples: int = Field(8, ge=2, le=1000)
    """Samples of each question, for P2."""
    temperature: float = Field(0.7, gt=0, le=10)
    """Temperature of these samples."""
    on_leak: Literal["refuse", "warn"] = "refuse"
    """What to do where right and wrong can be told apart by their surface, and in pairs of like length still."""


class SplitsBlock(Block):
    """Sizes of the parts of the training split, which share no question, and of the test split."""

    vectors: int = Field(2000, ge=4)
    """Questions that directions are made from."""
    screen: int = Field(300, ge=4)
    """Questions of the heat map and of the screen by generation."""
    search: int = Field(500, ge=10)
    """Questions that trials are scored on; gains on them are those of a selection."""
    confirm: int = Field(700, ge=10)
    """Questions that the winner is picked on, among the best of the search."""
    test: int | None = Field(None, ge=1)
    """Only the first so many questions of the test split, which is opened once. Null: all."""
    decontaminate: int | None = Field(13, ge=2)
    """No question shares so many words in a row with one of another part, or of the test. Null: no such check."""


class AlphasBlock(Block):
    """The range of strengths, in units of the activations' median norm."""

    low: float = Field(-0.4, le=0)
    """Smallest strength; below 0 the direction is turned round."""
    high: float = Field(0.4, gt=0)
    """Largest strength."""


class SearchBlock(Block):
    """What is tried, and how much of it."""

    trials: int = Field(50, ge=2, le=100_000)
    """Configurations of each study that are scored on the search questions, strength 0 among them."""
    batch_configs: int = Field(8, ge=1, le=1024)
    """Configurations that are proposed and generated together."""
    layers: list[int] | None = Field(None, min_length=1)
    """Blocks to steer, counted from 0. Null: all."""
    alphas: AlphasBlock = AlphasBlock()
    """The range of strengths."""
    ladder: list[float] = Field([0.01, 0.02, 0.05, 0.1, 0.2, 0.4], min_length=1)
    """Strengths, with both signs, of the heat map and the screen; those outside of the range are left out."""
    kinds: list[Kind] = Field(["constant"], min_length=1)
    """`constant`: the same strength at every token; `dac`: one a token, from how far steering moves the distribution."""
    screen_layers: int = Field(4, ge=1)
    """Layers that the heat map passes on to the screen by generation."""
    startup: int = Field(6, ge=1)
    """Best cells of the screen that a study begins with, after strength 0."""
    siblings: list[float] = []
    """Multiples of a proposed strength that are scored beside it, so that the sampler learns from them as well."""
    race: bool = True
    """Give a configuration up as soon as McNemar's test (p < 0.01) says that no steering is better."""
    op: Op = "add"
    """What is done along the direction."""
    where: Where = Where()
    """Which tokens are steered."""


class ConstraintsBlock(Block):
    """What a configuration may not do, however many answers it gets right; against the unsteered model."""

    truncation: float = Field(0.05, ge=0, le=1)
    """Largest rise of the share of completions that the length limit cuts off."""
    repetition: float = Field(0.05, ge=0, le=1)
    """Largest rise of the share of completions that repeat themselves."""
    length_ratio: tuple[float, float] = (0.5, 2.0)
    """Range of the median length over the unsteered one."""


class ControlsBlock(Block):
    """What a gain is held against: what the same search finds in nothing, and what else could have brought it."""

    random: int = Field(1, ge=0, le=1000)
    """Studies of random directions."""
    random_in_pca: int = Field(1, ge=0, le=1000)
    """Studies of random directions among those in which the activations vary most."""
    shuffled: int = Field(1, ge=0, le=1000)
    """Studies of the direction that shuffled labels give."""
    without_length: bool = True
    """A study of the first method's direction without what goes with the texts' length in it."""
    sign_flipped: bool = True
    """Confirm the best configuration turned round as well."""
    first_token: bool = True
    """Confirm the unsteered model, made to begin as the best configuration most often does."""
    prompt: str | None = Field("Think step by step.", min_length=1)
    """Confirm the unsteered model with this sentence after each question. Null: do not."""
    longer: float | None = Field(2.0, gt=1, le=100)
    """Confirm the unsteered model with so many times `max_new_tokens`. Null: do not."""

    @property
    def nulls(self) -> int:
        """Studies of directions that mean nothing."""
        return self.random + self.random_in_pca + self.shuffled


class ConfirmBlock(Block):
    """Picking the winner."""

    top_k: int = Field(5, ge=1, le=100)
    """Best configurations of the search that are scored on the confirm questions."""


class SteeringRecipe(BaseRecipe):
    """A search for steering that makes a model answer more questions right, with its controls."""

    data_files = ("plain_text",)

    model: ModelBlock
    """The model to steer; it is not trained."""
    task: Task
    """The questions and their grading."""
    prompt: PromptSpec = PromptSpec()
    """How questions are put and answers are delimited; the same as in training."""
    max_new_tokens: int = Field(256, ge=1, le=1 << 20)
    """Longest answer, in tokens. Answers are greedy."""
    grader: Grader = "robust"
    """Which answers are right."""
    batch_size: int = Field(64, ge=2)
    """Completions that are generated at a time, of all configurations together."""
    heatmap_texts: int = Field(32, ge=2)
    """Texts whose likelihood the heat map is made of."""
    vectors: VectorsBlock = VectorsBlock()
    """How directions are found."""
    splits: SplitsBlock = SplitsBlock()
    """Which questions are used for what."""
    search: SearchBlock = SearchBlock()
    """What is tried."""
    constraints: ConstraintsBlock = ConstraintsBlock()
    """What a configuration may not do."""
    plain_text: str | None = None
    """A text file, with blank lines between its texts, that the winner's perplexity is measured on. Null: a dozen
    paragraphs that come with the engine."""
    controls: ControlsBlock = ControlsBlock()
    """What a gain is held against."""
    confirm: ConfirmBlock = ConfirmBlock()
    """How the winner is picked."""
    drafts: bool = True
    """Read steered answers off the unsteered ones as far as they agree, which gives the same answers sooner. Only with
    greedy float32, where that is exact; otherwise the job says that they are not used."""
    gates: bool = True
    """Prove on this model and device that steering does what it says, before anything is searched."""
    workers: int = Field(1, ge=1, le=64)
    """Processes that evaluate trials of the same studies, each with a copy of the model."""

    @model_validator(mode="after")
    def _is_consistent(self) -> "SteeringRecipe":
        if self.vectors.read == "prompt_last" and self.vectors.pairs != "P2":
            raise ValueError(
                "`read: prompt_last` needs `pairs: P2`: it compares questions that are solved or not"
            )
        plain = self.search.where == Where() and self.search.op == "add"
        if "dac" in self.search.kinds and not plain:
            raise ValueError("`kinds: [dac]` needs `op: add` and the default `where`")
        if not self.ladder:
            raise ValueError("`ladder` has no strength within `alphas`")
        if len(set(self.vectors.methods)) < len(self.vectors.methods):
            raise ValueError("`methods` names one twice")
        return self

    @property
    def ladder(self) -> list[float]:
        """Strengths of the heat map and the screen, ascending, without 0."""
        both = {sign * abs(alpha) for alpha in self.search.ladder for sign in (-1, 1) if alpha}
        alphas = self.search.alphas
        return sorted(alpha for alpha in both if alphas.low <= alpha <= alphas.high)

    @property
    def greedy(self) -> SamplingBlock:
        return SamplingBlock(max_new_tokens=self.max_new_tokens)

    @property
    def thinking(self) -> SamplingBlock:
        """How P2 samples."""
        vectors = self.vectors
        fields: dict[str, Any] = {"temperature": vectors.temperature, "num_samples": vectors.num_samples}
        return SamplingBlock(**fields, max_new_tokens=self.max_new_tokens)

    def remarks(self) -> list[str]:
        sizes = {"search": self.splits.search, "confirm": self.splits.confirm}
        if self.splits.test is not None:
            sizes["test"] = self.splits.test
        shown = ", ".join(f"{name} ({n}) {_smallest_gain(n)}" for name, n in sizes.items())
        found = [
            f"gains smaller than these are missed more than one time in five, where {_DISCORDANCE:.0%} of the answers change: "
            + shown
        ]
        if not self.controls.nulls:
            found.append("without controls nothing tells what this search would find in nothing")
        if not self.gates:
            found.append("`gates: false`: nothing proves that steering does here what it says")
        return found


def _smallest_gain(n: int) -> str:
    """The smallest gain, in whole points, that n questions show with a power of 80 %."""
    if n > 3000:
        return "below +2 points"
    for points in range(1, round(100 * _DISCORDANCE) + 1):
        if mcnemar_power(n, points / 100, _DISCORDANCE) >= 0.8:
            return f"+{points} points"
    return "all"
