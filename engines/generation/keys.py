"""Names for what was asked of a model, so that what was answered can be found again."""

import hashlib
from collections.abc import Sequence

import orjson

from engines.generation.generator import Request
from engines.recipe.blocks import SamplingBlock


def prompt_key(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:24]


def request_key(request: Request, sampling: SamplingBlock) -> str:
    """Within a set. Greedy completions are all the same sample."""
    key = f"{prompt_key(request.prompt)}/{request.sample if sampling.temperature > 0 else 0}"
    return f"{key}/{request.steer}" if request.steer else key


def set_key(identity: str, sampling: SamplingBlock, stop: Sequence[str], seed: int) -> str:
    """Everything that the completions of a set have in common. The seed counts only where something is drawn."""
    drawn = sampling.temperature > 0
    fields = sampling.model_dump(exclude={"num_samples"})
    if not drawn:
        fields = {"temperature": 0.0, "max_new_tokens": sampling.max_new_tokens}
    parts = [identity, fields, sorted(stop), seed if drawn else None]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
