"""The blocks of an `mtl_ppo` recipe, in verl's spelling where verl has the option."""

from typing import Literal

from pydantic import Field, model_validator

from engines.ppo.early_stop import Mode, Rule, Unit
from engines.ppo.learning_fields import ActorBlock, AlgorithmBlock, CriticBlock, MtlBlock
from engines.recipe.blocks import (
    BaseRecipe,
    Block,
    LoraBlock,
    ModelBlock,
    SamplingBlock,
    SuitePreset,
    SuiteTaskName,
)


class DataBlock(Block):
    """Which tasks of the suite are trained on and validated with, and where their questions come from."""

    data_files = ("train_files", "val_files")

    train: SuitePreset | list[SuiteTaskName] = "micro6"
    """Tasks to train on: their names, or one of the suite's selections such as `guru13`."""
    val: SuitePreset | list[SuiteTaskName] | None = None
    """Tasks to validate with. Null: those that are trained on."""
    train_files: dict[SuiteTaskName, str] = {}
    """For each of these tasks a JSONL or Parquet file of its public format; questions of the other tasks are made."""
    val_files: dict[SuiteTaskName, str] = {}
    """The same for validation. A task with a training file and none here is validated with a tenth of that file."""
    train_items: int = Field(256, ge=1)
    """Questions of each task that are made for training."""
    val_items: int = Field(32, ge=1)
    """Questions of each task to validate with, at most."""
    difficulty: int | None = Field(None, ge=0, le=5)
    """Of made questions. Null: all from 0 to 5."""
    items_seed: int = Field(0, ge=0)
    """Which questions are made. Not the run's seed: its arms and repetitions must be asked the same."""
    train_batch_size: int = Field(48, ge=1)
    """Questions of a step, over all tasks."""
    allow_contamination: bool = False
    """Train even where a validation question is also a training question."""
    system: str = ""
    """System message before every question. Empty: none; the questions themselves say how to answer."""
    require_sandbox: Literal["L0", "L1", "L2"] | None = None
    """Refuse to run programs that the model wrote behind less than this; `tunedeck doctor --sandbox` shows what there is."""


class RewardBlock(Block):
    """What a completion earns. Evaluation is always strict."""

    partial_credit: bool = True
    """Where a task gives a share of the marks, earn that share; else all or nothing."""
    lenient: bool = False
    """Full marks for a right answer that stands elsewhere than where it was asked for."""
    format_bonus: float = Field(0.0, ge=0, le=0.1)
    """Earned beside it by any answer that stands where it was asked for."""


class ValidationBlock(Block):
    """How validation answers are generated."""

    n: int = Field(1, ge=1)
    """Answers to each question."""
    temperature: float = Field(0.0, ge=0)
    """Softmax temperature; 0 is greedy."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling."""


class RolloutBlock(Block):
    """How completions are generated for training."""

    n: int = Field(4, ge=1)
    """Completions of each question."""
    temperature: float = Field(1.0, gt=0, le=10)
    """Softmax temperature; log-probabilities are taken at it too."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling; below 1, what is trained is not quite what is sampled."""
    top_k: int = Field(0, ge=0)
    """Only this many most likely tokens; 0 keeps all."""
    max_prompt_length: int = Field(1024, ge=1)
    """Questions of more tokens are left out, and counted."""
    max_response_length: int = Field(1024, ge=1)
    """Tokens that a completion may have."""
    mask_truncated: bool = False
    """Learn nothing from completions that were cut off."""
    batch_size: int = Field(256, ge=1)
    """Completions that are decoded at a time; halved when memory runs out. It changes no result."""
    use_vllm: bool = False
    """Generate with vLLM, which is given the adapter at each step."""
    gpu_memory_utilization: float = Field(0.5, gt=0, le=1)
    """Share of the GPU's memory that vLLM takes."""
    val_kwargs: ValidationBlock = ValidationBlock()
    """How validation answers are generated."""

    def sampling(self) -> SamplingBlock:
        """Of training, in the words of the other engines."""
        return SamplingBlock(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            max_new_tokens=self.max_response_length,
        )

    def validation(self) -> SamplingBlock:
        """Of validation."""
        return SamplingBlock(
            temperature=self.val_kwargs.temperature,
            top_p=self.val_kwargs.top_p,
            max_new_tokens=self.max_response_length,
            num_samples=self.val_kwargs.n,
        )


class TrainerBlock(Block):
    """How long, and what is measured and kept on the way."""

    total_epochs: int = Field(30, ge=1)
    """Times that the questions are gone through, at most."""
    val_before_train: bool = True
    """Validate the model that is started from, as epoch 0."""
    test_freq: int = Field(1, ge=0)
    """Validate every so many epochs, and after the last; 0: never."""
    save_freq: int = Field(5, ge=1)
    """Checkpoint every so many of `save_unit`."""
    save_unit: Literal["epochs", "steps"] = "epochs"
    """What `save_freq` counts."""
    max_actor_ckpt_to_keep: int = Field(10, ge=1)
    """Of those checkpoints; `best`, `final` and `preempt` are kept beside them."""
    save_model: Literal["best", "final"] = "final"
    """Which policy the job leaves as its model."""
    early_stopping: bool = True
    """Whether to stop before the last epoch."""
    early_stopping_min_epochs: int = Field(10, ge=0)
    """Never stop before the end of this epoch."""
    early_stopping_patience: int = Field(3, ge=1)
    """Stop after this long without improvement."""
    early_stopping_patience_unit: Unit = "validations"
    """What patience counts: validations that improved nothing, or epochs since the best."""
    early_stopping_min_delta: float = Field(0.001, ge=0)
    """By how much a validation must be better to be an improvement."""
    early_stopping_metric: Literal["validation_reward_mean", "validation_reward_micro"] = (
        "validation_reward_mean"
    )
    """The mean over tasks, or the mean over questions."""
    early_stopping_mode: Mode = "max"
    """Whether more or less of it is better."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: slower, far less memory."""

    def rule(self) -> Rule:
        """What stops the run."""
        return Rule(
            self.early_stopping_min_epochs,
            self.early_stopping_patience,
            self.early_stopping_min_delta,
            self.early_stopping_mode,
            self.early_stopping_patience_unit,
        )

    @model_validator(mode="after")
    def _what_is_watched_is_measured(self) -> "TrainerBlock":
        if not self.test_freq and (self.early_stopping or self.save_model == "best"):
            raise ValueError(
                "`test_freq: 0` never validates: set `early_stopping: false` and `save_model: final`"
            )
        return self


class MtlPpoRecipe(BaseRecipe):
    """The fields that `engines.ppo` reads."""

    model: ModelBlock
    """What to start from: a model that sometimes earns something on every task."""
    lora: LoraBlock | None = LoraBlock(r=16, lora_alpha=32)
    """The policy's adapter; null trains all weights."""
    chain: Literal["continue", "merge"] = "continue"
    """After an adapter: train it further, or merge it into the weights and start a new one."""
    data: DataBlock = DataBlock()
    """Tasks and questions."""
    reward: RewardBlock = RewardBlock()
    """What completions earn."""
    rollout: RolloutBlock = RolloutBlock()
    """How completions are generated."""
    algorithm: AlgorithmBlock = AlgorithmBlock()
    """From rewards to advantages."""
    actor: ActorBlock = ActorBlock()
    """How the policy learns."""
    critic: CriticBlock = CriticBlock()
    """How the critic learns."""
    mtl: MtlBlock = MtlBlock()
    """How the gradients of several tasks become one."""
    trainer: TrainerBlock = TrainerBlock()
    """How long, and what is kept."""

    @model_validator(mode="after")
    def _the_critic_has_a_place(self) -> "MtlPpoRecipe":
        if self.lora is None and self.critic.mode == "adapter":
            raise ValueError("`critic.mode: adapter` needs `lora`; with all weights, use `separate`")
        if self.lora is not None and self.lora.lora_dropout:
            raise ValueError(
                "`lora.lora_dropout` must be 0: with dropout, a policy's ratio to itself is not 1"
            )
        if self.rollout.use_vllm and self.lora is None:
            raise ValueError(
                "`rollout.use_vllm` needs `lora`: vLLM is given the adapter at each step, not all weights"
            )
        if self.rollout.use_vllm and self.resources.process_count > 1:
            raise ValueError(
                "`rollout.use_vllm` needs `resources: {gpus: 1}`: vLLM takes the connections between the "
                f"{self.resources.process_count} processes of this job for its own"
            )
        return self

    @property
    def critic_mode(self) -> Literal["adapter", "separate", "shared"]:
        return self.critic.mode or ("adapter" if self.lora else "separate")

    @property
    def actor_lr(self) -> float:
        return self.actor.optim.lr or (2e-5 if self.lora else 1e-6)

    @property
    def critic_lr(self) -> float:
        return self.critic.optim.lr or (1e-4 if self.lora else 1e-5)

    def remarks(self) -> list[str]:
        found = []
        if self.algorithm.adv_estimator != "gae" and self.critic != CriticBlock():
            found.append("no effect: `critic`; only `algorithm.adv_estimator: gae` has one")
        if self.rollout.top_p < 1 or self.rollout.top_k:
            found.append(
                "`rollout.top_p` and `top_k`: completions come from another distribution than the one that is trained"
            )
        if self.critic_mode == "shared" and self.mtl.scope == "actor+critic":
            found.append("no effect: `mtl.scope: actor+critic`; a shared trunk's value gradients are pooled")
        return found
