"""The fields of a recipe that say what GRPO learns from and optimises: TRL's names, defaults for binary rewards."""

from typing import Literal

from pydantic import Field, model_validator

from engines.training.algorithm_lint import errors, warnings
from engines.training.difficulty_block import DifficultyBlock
from engines.training.training_fields import TrainingRecipe

LossType = Literal["dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"]


class Algorithm(TrainingRecipe):
    """Questions, groups, sampling, loss and regularisation of a GRPO recipe."""

    train_samples: int | None = Field(None, ge=1)
    """How many training questions; for the same seed, 256 are the first 256 of 512, and the same as for `sft`. Null: all."""
    max_prompt_length: int | None = Field(None, ge=1)
    """Questions with longer prompts, in tokens, are left out and counted. Null: what the model's context allows."""
    difficulty: DifficultyBlock | None = None
    """Leave out questions that the starting model always or never solves. Null: train on all."""
    num_train_epochs: float = Field(1.0, gt=0, le=1000)
    """Passes over the questions."""
    num_generations: int = Field(8, ge=2)
    """Completions of each question, compared with each other (G)."""
    per_device_train_batch_size: int = Field(8, ge=1)
    """Completions in one forward pass of one process."""
    gradient_accumulation_steps: int = Field(8, ge=1)
    """Forward passes for one optimizer step; the product of both, and of the processes, is its completions."""
    steps_per_generation: int | None = Field(None, ge=1)
    """Forward passes for which completions are generated at once. Null: one optimizer step's."""
    num_iterations: int = Field(1, ge=1)
    """Times that generated completions are trained on."""
    max_completion_length: int = Field(512, ge=1, le=1 << 20)
    """Longest completion in tokens."""
    temperature: float = Field(1.0, ge=0, le=10)
    """Softmax temperature of the sampling; the loss uses the same."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling. Below 1, the loss does not see the distribution that was sampled from."""
    top_k: int = Field(0, ge=0)
    """Keep only this many most likely tokens; 0 keeps all, which is what the loss assumes."""
    loss_type: LossType = "dapo"
    """How token losses are summed up: `dapo` over all tokens, `grpo` by sequence, `dr_grpo` by the longest length, ..."""
    scale_rewards: Literal["none", "group", "batch"] = "none"
    """Divide advantages by the standard deviation of the group's or the batch's rewards; `none` suits binary rewards."""
    multi_objective_aggregation: Literal["sum_then_normalize", "normalize_then_sum"] = "sum_then_normalize"
    """Whether the parts of a reward are summed before they are compared within the group, or after (GDPO)."""
    reward_weights: list[float] | None = None
    """A weight for each part of the reward. Null: 1 each."""
    beta: float = Field(0.0, ge=0)
    """Weight of the KL divergence from the starting model (with `chain: continue`, from the incoming adapter)."""
    use_bias_correction_kl: bool = True
    """Weigh the KL term by the probability ratio, which makes its gradient unbiased."""
    epsilon: float = Field(0.2, gt=0)
    """Clip range of the probability ratio, below 1 (and above, unless `epsilon_high` is given)."""
    epsilon_high: float | None = Field(None, gt=0)
    """Clip range above 1; for `cispo` the largest ratio (5 is usual)."""
    delta: float | None = Field(None, gt=1)
    """Two-sided clipping: the largest ratio where the advantage is negative."""
    importance_sampling_level: Literal["token", "sequence"] = "token"
    """Ratios of tokens, or of whole sequences (GSPO)."""
    off_policy_mask_threshold: float | None = Field(None, gt=0)
    """Leave out bad completions that the policy has moved away from by more than this KL divergence."""
    top_entropy_quantile: float = Field(1.0, gt=0, le=1)
    """Train only on this share of the tokens, those of the highest entropy."""
    entropy_coef: float = 0.0
    """Weight of an entropy bonus."""
    sapo_temperature_pos: float = Field(1.0, gt=0)
    """`sapo`: temperature of the gate for good completions."""
    sapo_temperature_neg: float = Field(1.05, gt=0)
    """`sapo`: the same for bad ones."""
    vespo_k_pos: float = Field(2.0, gt=0)
    """`vespo`: exponent k of the weighting of good completions."""
    vespo_lambda_pos: float = Field(3.0, gt=0)
    """`vespo`: its decay lambda."""
    vespo_k_neg: float = Field(3.0, gt=0)
    """`vespo`: exponent k for bad completions."""
    vespo_lambda_neg: float = Field(2.0, gt=0)
    """`vespo`: its decay lambda."""
    use_vllm: bool = False
    """Generate with vLLM in this process, which gets the adapter after each step. Needs the vllm extra, and `lora`."""
    vllm_gpu_memory_utilization: float = Field(0.3, gt=0, le=1)
    """Share of the GPU's memory that vLLM takes beside the training."""
    vllm_importance_sampling_correction: bool = True
    """Weigh the loss by how much likelier a completion is to the trained model than to vLLM, which rounds otherwise."""
    vllm_importance_sampling_mode: Literal[
        "sequence_mask", "sequence_truncate", "token_mask", "token_truncate"
    ] = "sequence_mask"
    """Ratios of sequences or of tokens; those above the limit are left out or cut."""
    vllm_importance_sampling_clip_max: float = Field(3.0, gt=0)
    """That limit."""
    mask_truncated_completions: bool = True
    """Do not train on completions that ran into the length limit: their end was never seen."""

    @model_validator(mode="after")
    def _means_what_it_says(self) -> "Algorithm":
        found = errors(self)
        if found:
            raise ValueError("; ".join(found))
        return self

    def remarks(self) -> list[str]:
        return warnings(self)

    @property
    def micro_batches(self) -> int:
        """Forward passes that one generation batch is split into."""
        return self.steps_per_generation or self.gradient_accumulation_steps

    @property
    def prompts_per_generation(self) -> int:
        """Questions in one generation batch, of all processes."""
        rows = self.per_device_train_batch_size * self.micro_batches
        return rows // self.num_generations * self.resources.process_count

    @property
    def on_policy(self) -> bool:
        """Every completion is trained on with the very weights that generated it, so that all ratios are 1."""
        return self.gradient_accumulation_steps % (self.micro_batches * self.num_iterations) == 0
