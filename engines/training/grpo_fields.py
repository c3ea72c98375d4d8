"""What a GRPO recipe says beside the algorithm: the model, the reward, the optimisation, and how it is watched."""

from typing import Literal

from pydantic import Field, model_validator

from engines.recipe.blocks import ModelBlock, SamplingBlock, Task
from engines.rewards.block import Reward, RewardBlock
from engines.training.algorithm import Algorithm
from engines.training.health_block import HealthBlock


class GrpoRecipe(Algorithm):
    """The fields that `engines.training.grpo_trainer` reads."""

    model: ModelBlock
    """What to start from: a model that finds some right answers, in the format that the reward asks for."""
    task: Task
    """Where the questions come from."""
    reward: Reward = RewardBlock()
    """What a completion earns."""
    health: HealthBlock = HealthBlock()
    """When a run that learns nothing is ended."""
    distributed: Literal["ddp"] = "ddp"
    """How several processes share the training: each has the whole model. FSDP would put it together for every token that is
    generated, and is not offered."""
    learning_rate: float | None = Field(None, gt=0)
    """Peak learning rate. Null: 1e-5 for an adapter, 1e-6 for all weights."""
    adam_beta2: float = Field(0.999, gt=0, lt=1)
    """AdamW's decay of the squared gradients; 0.99 is usual for few steps."""
    rollout_batch_size: int = Field(64, ge=1)
    """Completions that are decoded at a time; halved when memory runs out. It changes no result. vLLM decides itself."""
    save_steps: int | None = Field(None, ge=1)
    """Checkpoint every so many steps. Null: ten times over the run."""
    eval_steps: int | None = Field(None, ge=1)
    """Measure greedy accuracy on development examples every so many steps. Null: never."""
    log_completions: int = Field(4, ge=0)
    """Completions of each logged step that are kept in `debug/` to look at."""

    @model_validator(mode="after")
    def _each_part_has_a_weight(self) -> "GrpoRecipe":
        parts = self.reward.parts
        if self.reward_weights is not None and len(self.reward_weights) != len(parts):
            raise ValueError(
                f"`reward_weights` has {len(self.reward_weights)} weights, but the reward has {len(parts)} parts: "
                f"{', '.join(parts)}"
            )
        return self

    @model_validator(mode="after")
    def _vllm_is_given_an_adapter(self) -> "GrpoRecipe":
        if self.use_vllm and self.lora is None:
            raise ValueError(
                "`use_vllm` needs `lora`: vLLM is given the adapter at each step, not all weights"
            )
        return self

    def remarks(self) -> list[str]:
        found = super().remarks()
        if self.reward.missing_end_penalty and self.mask_truncated_completions:
            found.append(
                "`reward.missing_end_penalty`: with `mask_truncated_completions: true` nothing is learnt from completions "
                "that are cut off, so the penalty only raises what the others of the group earn beside them"
            )
        if self.reward.format_anneal and self.reward.name != "verifiable":
            found.append(f"no effect: `reward.format_anneal`; the reward is `{self.reward.name}`")
        return found

    @property
    def peak_learning_rate(self) -> float:
        return self.learning_rate or (1e-6 if self.lora is None else 1e-5)

    @property
    def sampling(self) -> SamplingBlock:
        """How completions are generated, in the words of the other engines."""
        return SamplingBlock(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            max_new_tokens=self.max_completion_length,
        )
