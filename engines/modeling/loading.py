"""Loading tokenizers and models for training and for generation, and saving what was trained.

Chaining after an adapter: `continue` trains the same adapter on; `merge` folds it into the weights and starts a new one.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from engines.distributed.world import World
from engines.generation.context import context_length
from engines.modeling.adapter_shape import check_all_linear, check_same_shape
from engines.modeling.sources import (
    LINEAGE_FILE,
    MERGED_DIR,
    Source,
    entry,
    moved,
    read_lineage,
    resolve,
    weights_hash,
)
from engines.modeling.tokens import end_token_ids, set_chat_template, use_distinct_pad, use_end_of_turn_as_eos
from engines.recipe.blocks import Device, LoraBlock, ModelBlock
from engines.recipe.errors import RecipeError
from engines.run import Run

Chain = Literal["continue", "merge"]


def choose_device(device: Device) -> torch.device:
    """The recipe's device; `auto` is the GPU that the job was given, else the CPU. Of several processes each has one."""
    if device == "cuda" and not torch.cuda.is_available():
        raise RecipeError(
            "device: `cuda` was asked for, but this process sees no GPU",
            hint="use `device: auto`, or give the job a GPU with `resources: {gpus: 1}`",
        )
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    processes, seen = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if processes != seen:
        raise RecipeError(
            f"resources.gpus: the job was given {seen} GPUs, and its {processes} processes use one each",
            hint=f"set `resources: {{gpus: {processes}}}`, or `device: cpu`",
        )
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if processes > 1 else torch.device("cuda")


def load_tokenizer(block: ModelBlock, run: Run) -> Any:
    """The model's tokenizer: padding on the left, with a chat template, and a pad token that is not EOS."""
    source = resolve(block, run)
    tokenizer = _loaded(AutoTokenizer, source.tokenizer, source)
    set_chat_template(tokenizer, block.chat_template)
    text_end = tokenizer.eos_token_id
    use_end_of_turn_as_eos(tokenizer)
    use_distinct_pad(tokenizer, end_token_ids(tokenizer) | ({text_end} - {None}))
    tokenizer.padding_side = "left"
    return tokenizer


def model_context(block: ModelBlock, run: Run) -> int | None:
    """Tokens that the model was made for, without loading its weights; None where its config does not say."""
    source = resolve(block, run)
    return context_length(AutoConfig.from_pretrained(source.weights, revision=source.revision))


def load_model(
    block: ModelBlock,
    run: Run,
    *,
    tokenizer: Any,
    device: torch.device,
    trainable: bool = False,
    lora: LoraBlock | None = None,
    chain: Chain = "continue",
) -> Any:
    """A model on its device. For training: an adapter to train where `lora` is given, else all weights trainable."""
    source = resolve(block, run)
    if not trainable:
        model = _for_generation(source, block)
    elif lora is None:
        model = _all_weights(source, block, chain)
    else:
        model = _with_adapter(source, block, lora, chain, run)
    _agree_on_special_tokens(model, tokenizer)
    return model.to(device).train(trainable)


def lineage(block: ModelBlock, run: Run, *, lora: LoraBlock | None, chain: Chain) -> list[dict[str, Any]]:
    """What a model trained from this block is made from, oldest first."""
    source = resolve(block, run)
    history = moved(
        read_lineage(source.adapter or source.weights), source.adapter or Path(source.weights), run.model
    )
    if source.adapter is None:
        started = entry(source, "full" if lora is None else "base")
        if block.from_ is not None:  # runs move together, so that one finds the other from where it is
            started["parent"] = os.path.relpath(source.weights, run.model)
        return [*history, started]
    if chain == "continue":
        return [*(history or [entry(source, "base")]), entry(source, "continue")]
    merged = [*(history or [entry(source, "base")]), entry(source, "merge")]
    if lora is None:
        return merged
    return [*merged, {"parent": MERGED_DIR, "sha256": weights_hash(run.model / MERGED_DIR), "mode": "base"}]


def save_model(model: Any, tokenizer: Any, directory: Path, made_from: list[dict[str, Any]]) -> None:
    """The adapter or the full weights, the tokenizer, and what they were made from."""
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    write_lineage(directory, made_from)


def write_lineage(directory: Path, made_from: list[dict[str, Any]]) -> None:
    """What the model in a directory was made from."""
    (directory / LINEAGE_FILE).write_text(json.dumps(made_from, indent=2) + "\n", encoding="utf-8")


def _for_generation(source: Source, block: ModelBlock) -> Any:
    if source.adapter is None:
        return _base(source, block)
    model = _adapted(source, block)
    # Merging halves the work of a step and is exact to 2e-7 in float32; in bfloat16 it would shift the logits.
    return model.merge_and_unload() if block.dtype == "float32" else model


def _all_weights(source: Source, block: ModelBlock, chain: Chain) -> Any:
    if source.adapter is None:
        return _base(source, block)
    if chain == "continue":
        raise RecipeError(
            f"chain: `continue` cannot train all weights (`lora: null`) on top of the adapter in {source.adapter}",
            hint="use `chain: merge` to fold the adapter in first, or give a `lora` block to train it further",
        )
    merged = _merged(source, block).requires_grad_(True)  # loading the adapter had frozen them
    return merged if block.dtype == "auto" else merged.to(_torch_dtype(block))


def _with_adapter(source: Source, block: ModelBlock, lora: LoraBlock, chain: Chain, run: Run) -> Any:
    if source.adapter is not None and chain == "continue":
        check_same_shape(lora, source.adapter)
        # Without is_trainable the adapter would be frozen, and training would run to the end and change nothing.
        model = _adapted(source, block, is_trainable=True)
        if lora.target_modules == "all-linear":
            check_all_linear(model, source.adapter)
        return model
    if source.adapter is not None:
        with World().leader_first():
            _save_merged(source, block, run.model / MERGED_DIR)
        source = Source(name=MERGED_DIR, weights=str(run.model / MERGED_DIR))
    config = LoraConfig(**lora.model_dump(), task_type="CAUSAL_LM")
    try:
        return get_peft_model(_base(source, block), config)
    except ValueError as error:
        raise RecipeError(
            f"lora.target_modules: {error}",
            hint="use `all-linear`, or names of linear layers that the model has",
        ) from error


def _save_merged(source: Source, block: ModelBlock, directory: Path) -> None:
    # A retry finds the merged weights of the first attempt: the fresh adapter must meet the same base.
    if not directory.is_dir():
        partial = directory.with_name(directory.name + ".partial")
        _merged(source, block).save_pretrained(partial)
        partial.rename(directory)


def _merged(source: Source, block: ModelBlock) -> Any:
    """The adapter folded into its base, in float32 on the CPU, where the rounding error is 2e-7."""
    in_float32 = block.model_copy(update={"dtype": "float32"})
    return _adapted(source, in_float32).merge_and_unload(safe_merge=True)


def _base(source: Source, block: ModelBlock) -> Any:
    return _loaded(
        AutoModelForCausalLM,
        source.weights,
        source,
        dtype=_torch_dtype(block),
        attn_implementation=block.attn_implementation,
    )


def _torch_dtype(block: ModelBlock) -> Any:
    return "auto" if block.dtype == "auto" else getattr(torch, block.dtype)


def _adapted(source: Source, block: ModelBlock, *, is_trainable: bool = False) -> Any:
    assert source.adapter is not None
    base = _base(source, block)
    with _load_errors(
        f"the adapter in {source.adapter}", "train it again, or name the directory of a whole adapter"
    ):
        # Peft asks the hub for an adapter that it does not find, and that answer would say nothing of the file.
        if not any((source.adapter / f"adapter_model.{kind}").is_file() for kind in ("safetensors", "bin")):
            raise FileNotFoundError("there is no adapter_model.safetensors")
        return PeftModel.from_pretrained(base, source.adapter, is_trainable=is_trainable)


def _loaded(loader: Any, path: str, source: Source, **options: Any) -> Any:
    if source.revision is not None:
        options["revision"] = source.revision
    with _load_errors(
        f"model `{source.name}`",
        "check the name and that the hub can be reached (or `HF_HUB_OFFLINE`), or give a local directory",
    ):
        return loader.from_pretrained(path, **options)


@contextmanager
def _load_errors(what: str, hint: str) -> Iterator[None]:
    """Files that are missing, cut short, or of another shape than their config says."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, ImportError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RecipeError(f"{what} cannot be loaded: {reason[:300]}", hint=hint) from error


def _agree_on_special_tokens(model: Any, tokenizer: Any) -> None:
    """The model's configs name every end token and the pad token, so that whoever loads them stops and pads right."""
    ends = sorted(end_token_ids(tokenizer, model))
    use_distinct_pad(tokenizer, frozenset(ends))
    model.generation_config.eos_token_id = ends
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
