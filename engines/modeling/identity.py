"""Which model this is: what completions are filed under, so that no other model's are ever taken for its own.

The weights alone do not say it: an adapter's `lora_alpha`, a model's `rope_theta` and a tokenizer's merges change what is
generated and leave the weight files as they are.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from engines.modeling.sources import resolve, weights_hash
from engines.modeling.tokens import end_token_ids
from engines.recipe.blocks import ModelBlock
from engines.recipe.errors import RecipeError
from engines.run import Run

_CONFIGS = ("config.json", "generation_config.json", "adapter_config.json")
_SETS = ("target_modules", "modules_to_save", "exclude_modules")
"""Lists that peft saves in the order of a set, which differs from process to process."""
_OF_NO_EFFECT = {
    "_name_or_path",
    "base_model_name_or_path",
    "dtype",
    "inference_mode",
    "peft_version",
    "torch_dtype",
    "transformers_version",
}
"""What configs record of where a model comes from and how it was saved. The recipe has the dtype, and `auto` is below."""


def weights_identity(block: ModelBlock, run: Run, tokenizer: Any) -> dict[str, Any]:
    """Hashes of the weights, the adapter and their configs, or the commit of a Hugging Face id, and how they are run."""
    source = resolve(block, run)
    hashed = weights_hash(source.directory) if source.directory is not None else None
    return {
        "weights": hashed or _commit(source.weights, source.revision),
        "config": _configs_hash(source.directory, block) if source.directory is not None else None,
        "adapter": weights_hash(source.adapter) if source.adapter else None,
        "adapter_config": _configs_hash(source.adapter, block) if source.adapter else None,
        "dtype": block.dtype,
        "attn_implementation": block.attn_implementation,
        "tokenizer": _tokenizer_hash(tokenizer),
        "ends": sorted(end_token_ids(tokenizer)),
    }


def _configs_hash(directory: Path, block: ModelBlock) -> str:
    """One hash over what the configs of a directory say."""
    ignored = _OF_NO_EFFECT - {"dtype", "torch_dtype"} if block.dtype == "auto" else _OF_NO_EFFECT
    found = {}
    for path in (directory / name for name in _CONFIGS):
        if path.is_file():
            fields = json.loads(path.read_text(encoding="utf-8"))
            fields |= {key: sorted(fields[key]) for key in _SETS if isinstance(fields.get(key), list)}
            found[path.name] = {key: fields[key] for key in fields if key not in ignored}
    return _hash(found)


def _tokenizer_hash(tokenizer: Any) -> str:
    """What turns a prompt into tokens and tokens into text. Templates show in the prompts themselves."""
    if not tokenizer.is_fast:
        return _hash([tokenizer.get_vocab(), type(tokenizer).__name__])
    fields = json.loads(tokenizer.backend_tokenizer.to_str())
    # Calls leave these behind; generation asks for neither.
    return _hash({key: fields[key] for key in fields if key not in ("padding", "truncation")})


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _commit(name: str, revision: str | None) -> str:
    """The commit that the hub, or its cache on this machine, has for a name."""
    options = {} if revision is None else {"revision": revision}
    commit = getattr(AutoConfig.from_pretrained(name, **options), "_commit_hash", None)
    if commit is None:
        raise RecipeError(
            f"model: neither weight files nor a commit tell which weights `{name}` are",
            hint="set `generation.cache: false` to generate without the cache",
        )
    return f"{name}@{commit}"
