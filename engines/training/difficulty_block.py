"""The `difficulty:` block of a recipe."""

from pydantic import Field, model_validator

from engines.recipe.blocks import Block, GenerationBlock


class DifficultyBlock(Block):
    """Leave out questions that the starting model always or never solves."""

    samples: int = Field(8, ge=2)
    """Completions of each question, sampled as in training, to find out how often it is solved."""
    min_solve_rate: float = Field(0.0, ge=0, lt=1)
    """Keep questions that are solved at least this often; those never solved are left out in any case."""
    max_solve_rate: float = Field(1.0, gt=0, le=1)
    """Keep questions that are solved at most this often; those always solved are left out in any case."""
    generation: GenerationBlock = GenerationBlock()
    """What generates them."""
    refill: bool = True
    """Draw further questions until `train_samples` are kept. Off: train on what is left of the first `train_samples`."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "DifficultyBlock":
        if self.min_solve_rate > self.max_solve_rate:
            raise ValueError("`min_solve_rate` must not be above `max_solve_rate`")
        rates = [solved / self.samples for solved in range(1, self.samples)]
        if not any(self.min_solve_rate <= rate <= self.max_solve_rate for rate in rates):
            raise ValueError(
                f"no question can be kept: {self.samples} completions of each give rates from {rates[0]:g} to "
                f"{rates[-1]:g} in steps of {rates[0]:g}, and none of them is from `min_solve_rate` to `max_solve_rate`"
            )
        return self
