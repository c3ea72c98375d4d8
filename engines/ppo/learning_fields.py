"""The blocks that say how actor and critic learn, and how tasks share them; in verl's spelling where verl has the option."""

from typing import Literal

from pydantic import Field, model_validator

from engines.recipe.blocks import Block


class KlControlBlock(Block):
    """How strong the penalty in the reward is."""

    type: Literal["fixed", "adaptive"] = "fixed"
    """Constant, or led towards `target_kl`."""
    kl_coef: float = Field(0.001, ge=0)
    """The penalty's weight, at first."""
    target_kl: float = Field(0.1, gt=0)
    """Divergence that the adaptive controller aims at."""
    horizon: int = Field(10_000, ge=1)
    """Completions in which the adaptive controller changes the weight."""


class AlgorithmBlock(Block):
    """From rewards to advantages."""

    adv_estimator: Literal["gae", "grpo", "rloo"] = "gae"
    """`gae` has a critic; `grpo` and `rloo` compare the completions of a question with each other."""
    gamma: float = Field(1.0, gt=0, le=1)
    """Discount a token (`gae`)."""
    lam: float = Field(1.0, ge=0, le=1)
    """How far ahead rewards count rather than values (`gae`)."""
    adv_norm: Literal["task", "batch", "none"] | None = None
    """Standardize advantages over each task's tokens, over all tokens, or not. Null: `task` for `gae`, else `none`."""
    use_kl_in_reward: bool = False
    """Take the divergence from the reference off the reward, token by token."""
    kl_penalty: Literal["k1", "k2", "k3"] = "k1"
    """Its estimator there."""
    kl_ctrl: KlControlBlock = KlControlBlock()
    """Its weight there."""
    track_kl: bool = True
    """Measure the divergence from the reference where no loss uses it, as often as conflicts; all weights: a second copy."""

    @property
    def normalization(self) -> Literal["task", "batch", "none"]:
        return self.adv_norm or ("task" if self.adv_estimator == "gae" else "none")


class OptimBlock(Block):
    """AdamW."""

    lr: float | None = Field(None, gt=0)
    """Learning rate, constant after the warm-up. Null: 2e-5 (actor) and 1e-4 (critic) for adapters, 1e-6 and 1e-5 for all
    weights."""
    lr_warmup_steps: int = Field(0, ge=0)
    """Optimizer steps in which it rises."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the mean and of the squares of gradients."""


class ActorBlock(Block):
    """How the policy learns."""

    clip_ratio_low: float = Field(0.2, gt=0, lt=1)
    """A token's probability counts as falling by this share at most."""
    clip_ratio_high: float = Field(0.2, gt=0)
    """And as rising by this share at most."""
    clip_ratio_c: float = Field(3.0, gt=1)
    """Bound of the ratio for tokens that were bad (dual clip)."""
    ppo_epochs: int = Field(1, ge=1)
    """Times that each step's completions are learnt from."""
    ppo_mini_batch_size: int | None = Field(None, ge=1)
    """Questions of an optimizer step, spread over the tasks. Null: all of the step's."""
    ppo_micro_batch_size: int = Field(32, ge=1)
    """Completions of a forward pass; where gradients are taken, all of one task. It changes no result."""
    loss_agg_mode: Literal[
        "token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"
    ] = "token-mean"
    """How the losses of a task's tokens become one."""
    entropy_coeff: float = Field(0.0, ge=0)
    """Weight of the policy's entropy, which is added to what is maximized."""
    use_kl_loss: bool = False
    """Add the divergence from the reference to the loss."""
    kl_loss_type: Literal["k2", "k3", "k3+"] = "k3"
    """Its estimator there (verl's `low_var_kl` is k3); `k3+` has the value of k3 and the right gradient."""
    kl_loss_coef: float = Field(0.001, ge=0)
    """Its weight there."""
    grad_clip: float = Field(1.0, gt=0)
    """The gradient is scaled down to this norm."""
    optim: OptimBlock = OptimBlock()
    """Its optimizer."""


class CriticBlock(Block):
    """How the critic learns (`adv_estimator: gae`)."""

    mode: Literal["adapter", "separate", "shared"] | None = None
    """A second adapter on the frozen base, a second model, or the policy's own trunk. Null: `adapter` with `lora`, else
    `separate`."""
    heads: Literal["shared", "per_task"] = "shared"
    """One value head, or one for each task."""
    cliprange_value: float = Field(0.5, gt=0)
    """Values count as moving by this much at most."""
    vf_coef: float = Field(0.1, gt=0)
    """Weight of the value loss on a shared trunk."""
    critic_warmup: int = Field(0, ge=0)
    """Steps in which the critic alone learns."""
    grad_clip: float = Field(1.0, gt=0)
    """The gradient is scaled down to this norm."""
    optim: OptimBlock = OptimBlock()
    """Its optimizer."""


class MtlBlock(Block):
    """How the gradients of several tasks become one."""

    enabled: bool = True
    """False: all tasks are pooled, whatever `method` says."""
    method: Literal[
        "pooled", "equal", "pcgrad", "pcgrad_placebo", "gradvac", "normalized",
        "mgda", "aligned_mtl", "upgrad", "cagrad", "nashmtl",
    ] = "pcgrad"  # fmt: skip
    """`pooled`: one loss over everything; `equal`: the mean of the tasks' losses; `pcgrad`: conflicts projected away;
    `pcgrad_placebo`: the same on a random partition of the batch. From `mgda` on, TorchJD must be installed."""
    task_unit: Literal["domain", "task"] = "domain"
    """What counts as one task: a domain with all of its tasks, or each by itself."""
    sampling: Literal["equal", "proportional", "temperature"] = "equal"
    """How a step's questions are shared out: alike, by size, or by size to the power of 1 / `temperature`."""
    temperature: float = Field(1.0, gt=0)
    """See `sampling`."""
    ensure_all_tasks_per_step: bool = True
    """Every task has questions in every step; false: they are drawn, and a task may have none."""
    epoch_by: Literal["max", "min", "mean"] = "max"
    """An epoch ends when the task that takes longest, or shortest, has been gone through; or when one of mean size has."""
    granularity: Literal["global", "module", "tensor"] = "global"
    """What decides together: all weights, each block's attention and feed-forward parts, or each tensor."""
    scope: Literal["actor", "actor+critic"] = "actor"
    """Whose gradients the method applies to. The critic's are pooled otherwise."""
    gradvac_beta: float = Field(0.5, gt=0, le=1)
    """How fast Gradient Vaccine's target cosines follow."""
    stats_every: int = Field(5, ge=0)
    """Measure conflicts, with their reliability, every so many steps; 0: never."""

    @property
    def effective(self) -> str:
        """The method that is used."""
        return self.method if self.enabled else "pooled"

    @model_validator(mode="after")
    def _temperature_is_used(self) -> "MtlBlock":
        if self.temperature != 1.0 and self.sampling != "temperature":
            raise ValueError("`temperature` needs `sampling: temperature`")
        return self
