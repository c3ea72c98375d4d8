"""Pre-training: a small causal language model from scratch, on a task's plain text, with a tokenizer of its own.

Made for models of a few megabytes; `pocket`, the model that ships with Tunedeck, comes from `recipes/pocket/pretrain.yaml`.
"""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from engines.recipe.blocks import BaseRecipe, Block, Task
from engines.run import Run


class ArchitectureBlock(Block):
    """The shape of the Llama model, in transformers' spelling."""

    vocab_size: int = Field(640, ge=300, le=65_536)
    """Tokens, at most: 256 bytes, 5 special ones, and learned pieces."""
    hidden_size: int = Field(96, ge=8)
    """Width."""
    intermediate_size: int = Field(256, ge=8)
    """Width of the feed-forward layers."""
    num_hidden_layers: int = Field(4, ge=1)
    """Depth."""
    num_attention_heads: int = Field(4, ge=1)
    """Attention heads; `hidden_size` is divided among them."""
    max_position_embeddings: int = Field(1024, ge=32)
    """Longest sequence."""
    initializer_range: float = Field(0.06, gt=0)
    """Standard deviation of the first weights. Narrow models need more than the usual 0.02."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "ArchitectureBlock":
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError("`hidden_size` must be an even multiple of `num_attention_heads`")
        return self


class Recipe(BaseRecipe):
    """Pre-training of a small language model, tokenizer included, on a task's plain text."""

    outputs: ClassVar[tuple[str, ...]] = ("model",)

    engine: Literal["pretrain"]
    task: Task
    """Whose training split and language the text comes from; it shows neither the prompt's format nor test questions."""
    architecture: ArchitectureBlock = ArchitectureBlock()
    """The shape of the model."""
    documents: int = Field(330_000, ge=100)
    """Short documents in the text."""
    sequence_length: int = Field(128, ge=16)
    """Tokens in a row; documents follow one another in it."""
    max_steps: int = Field(6000, ge=1)
    """Optimizer steps."""
    per_device_train_batch_size: int = Field(12, ge=1)
    """Rows in a step."""
    learning_rate: float = Field(6e-3, gt=0)
    """Peak learning rate."""
    warmup_steps: int = Field(100, ge=0)
    """Steps in which the learning rate rises."""
    weight_decay: float = Field(0.1, ge=0)
    """Weight decay of the matrices inside the model."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to this norm."""
    save_steps: int = Field(500, ge=1)
    """Checkpoint, and loss on the development questions, every so many steps."""
    save_total_limit: int = Field(2, ge=1)
    """Checkpoints to keep."""


def run(recipe: Recipe, run: Run) -> None:
    """Text, tokenizer, model, training, saving."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from engines.modeling.loading import choose_device
    from engines.modeling.new_tokenizer import learn_tokenizer
    from engines.prompts.spec import PromptSpec
    from engines.recipe.errors import RecipeError
    from engines.tasks.loading import load_examples, plain_text
    from engines.training.pretraining import Schedule, loss_on, pack, train
    from engines.training.record import versions, write_record

    documents = plain_text(recipe.task, recipe.documents, run.seed)
    # The tokenizer has seen the words of the prompt's format; the model never does.
    spec = PromptSpec()
    words = f"{spec.system} {spec.completion('', '')}"
    plain = [document for document in documents[:50_000] if isinstance(document, str)]
    tokenizer = learn_tokenizer([*plain, *[words] * 500], recipe.architecture.vocab_size)
    rows = pack(tokenizer, documents, recipe.sequence_length)
    if len(rows) < recipe.per_device_train_batch_size:
        raise RecipeError(
            f"documents: {recipe.documents} give {len(rows)} rows of {recipe.sequence_length} tokens, "
            f"fewer than one batch of {recipe.per_device_train_batch_size}",
            hint="raise `documents`, or lower `per_device_train_batch_size` or `sequence_length`",
        )

    torch.manual_seed(run.seed)
    shape = recipe.architecture.model_dump() | {"vocab_size": len(tokenizer)}
    model = LlamaForCausalLM(
        LlamaConfig(
            **shape,
            num_key_value_heads=recipe.architecture.num_attention_heads,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).to(choose_device(recipe.device))
    parameters = sum(weight.numel() for weight in model.parameters())
    run.events.message(
        f"{parameters:,} parameters, {len(tokenizer)} tokens in the vocabulary, {rows.numel():,} tokens of text"
    )
    schedule = Schedule(
        steps=recipe.max_steps,
        batch=recipe.per_device_train_batch_size,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        save_steps=recipe.save_steps,
        save_total_limit=recipe.save_total_limit,
    )
    held_out = [example.question for example in load_examples(recipe.task, "dev")]
    if not train(model, rows, schedule, run, lambda: {"eval_loss": loss_on(model, tokenizer, held_out)}):
        return

    model.save_pretrained(run.model)
    tokenizer.save_pretrained(run.model)
    record = {
        "engine": "pretrain",
        "recipe": recipe.model_dump(mode="json"),
        "parameters": parameters,
        "rows": len(rows),
        "tokens": recipe.max_steps * schedule.batch * recipe.sequence_length,
        "versions": versions(),
    }
    write_record(run.dir / "run.json", record)
    run.events.emit("artifact", name="model", path="model")
