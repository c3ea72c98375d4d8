"""Published ways of learning from one's own solutions, as settings of the `tpt` engine. Explicit fields win.

tpt-paper   Think, Prune, Train (arXiv 2504.18116), as its code is: strict `####` grader, first right sample, bfloat16
rft         rejection sampling fine-tuning (Yuan et al. 2023): one round, many samples, every different one, gold too
star        STaR (Zelikman et al. 2022): one greedy sample, a hint where it is wrong, always from the base
rest-em     ReST-EM (Singh et al. 2023): 32 samples, at most 10 right ones a question, always from the base
"""

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal["tpt-paper", "rft", "star", "rest-em"]

PRESETS: dict[Preset, dict[str, Any]] = {
    "tpt-paper": {
        "rounds": 4,
        "num_samples": 10,
        "temperature": 0.8,
        "max_new_tokens": 1500,
        "grader": "tpt_strict",
        "finished_only": False,
        "step_check": False,
        "dedupe": [],
        "pick": "first",
        "train_size": 2000,
        "eval_samples": 200,
        "model": {"dtype": "bfloat16"},
        "lora": None,
        "learning_rate": 1e-6,
        "rounding_is_wanted": True,
        "num_train_epochs": 1,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "warmup_steps": 0.1,
        "lr_scheduler_type": "cosine",
        "max_length": 1600,
        "drop_long": True,
    },
    "rft": {
        "rounds": 1,
        "num_samples": 100,
        "temperature": 0.7,
        "step_check": True,
        "dedupe": ["text", "equations"],
        "pick": "diverse",
        "max_per_question": 100,
        "train_size": None,
        "add_gold": True,
        "num_train_epochs": 3,
    },
    "star": {
        "num_samples": 1,
        "temperature": 0,
        "rationalize": True,
        "evaluation": {"temperature": 0.7},
        "step_check": False,
        "dedupe": [],
        "pick": "first",
        "train_size": None,
        "num_train_epochs": 1,
    },
    "rest-em": {
        "num_samples": 32,
        "temperature": 0.7,
        "top_k": 40,
        "step_check": False,
        "dedupe": ["text"],
        "pick": "all",
        "max_per_question": 10,
        "train_size": None,
    },
}


def with_preset(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe on top of those of the preset that it names; mappings merge key by key."""
    under = next((table for name, table in PRESETS.items() if name == fields.get("preset")), {})
    result = {**under, **fields}
    for key, value in under.items():
        if isinstance(value, dict) and isinstance(fields.get(key), Mapping):
            result[key] = {**value, **fields[key]}
    return result
