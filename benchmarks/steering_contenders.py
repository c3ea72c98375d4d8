"""Steering contenders: our search's way of scoring configurations, the seed's, and generation at equal lengths.

`steering_search.py` times them. The seed's way is rebuilt from the pipeline that it describes: for each configuration the
vector is read again, a forward pass a text without a batch, and then `model.generate` adds it at the last column of every pass,
one question at a time. It does not know our stop string; like any `generate`, it ends at the end token.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engines.generation.generator import complete, requests_for
from engines.generation.hf import HfGenerator
from engines.generation.stopping import StopStrings
from engines.prompts.rendering import render_prompt
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.steer.activations import locate
from engines.steer.directions import Directions
from engines.steer.draft import DraftingGenerator
from engines.steer.extraction import extract, find_directions
from engines.steer.generate import SteeredGenerator, steered_requests
from engines.steer.pairs import Side
from engines.tasks.example import Example
from engines.tasks.grading import grade

Config = tuple[int, float]
"""Layer, and strength in units of the raw difference."""


@dataclass(eq=False)
class Setting:
    """What all contenders are given."""

    model: Any
    tokenizer: Any
    spec: PromptSpec
    questions: list[Example]
    sides: list[Side]
    configs: list[Config]
    batch: int
    sampling: SamplingBlock

    @property
    def prompts(self) -> list[str]:
        return [render_prompt(self.tokenizer, self.spec, example.question) for example in self.questions]

    def scores(self, texts: Sequence[str]) -> list[bool]:
        """Of completions of all questions, in their order."""
        rows = zip(texts, self.questions, strict=True)
        return [grade(text, example.answer, self.spec, True).robust for text, example in rows]


@dataclass
class Result:
    seconds: float
    items: int
    """Texts scored, or tokens."""
    texts: dict[Any, list[str]]


def clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def read_once(s: Setting, folder: Path) -> Directions:
    """Our extraction, all layers in one pass a text, into an empty store."""
    found = extract(
        s.model, s.tokenizer, s.spec, s.sides, site="block_out", read="answer_last", directory=folder,
        identity={"benchmark": str(time.monotonic_ns())}, data_hash="", pairs={"scheme": "P1"},
    )  # fmt: skip
    return find_directions(found, "block_out", "mean_difference")


def ours(s: Setting, drafting: bool) -> Result:
    """Everything from the pair texts on: extraction, and where drafts are used, the unsteered completions."""
    start = clock(s.model.device)
    with tempfile.TemporaryDirectory() as folder:
        found = read_once(s, Path(folder))
    rows = [found.steering([layer], alpha, norm_kind="raw_difference") for layer, alpha in s.configs]
    requests = requests_for(s.prompts, 1)
    generator = SteeredGenerator(s.model, s.tokenizer, s.batch, rows)
    if drafting:
        plain = complete(generator, requests, s.sampling, s.spec.stop, 0)
        drafts = {request.prompt: made.token_ids for request, made in zip(requests, plain, strict=True)}
        generator = DraftingGenerator(s.model, s.tokenizer, s.batch, drafts, steerings=rows)
    made = complete(generator, steered_requests(requests, rows), s.sampling, s.spec.stop, 0)
    texts = {config: [one.text for one in made[place :: len(rows)]] for place, config in enumerate(s.configs)}
    for column in texts.values():
        s.scores(column)
    return Result(clock(s.model.device) - start, len(made), texts)


def seeds_way(s: Setting, batch: int, configs: Sequence[Config]) -> Result:
    """One configuration at a time: read the vector again, generate with a hook, score."""
    start, texts = clock(s.model.device), {}
    stop = StopStrings(s.tokenizer, s.spec.stop)
    for layer, alpha in configs:
        delta = alpha * vector_again(s, layer)
        with adding(s.model.model.layers[layer], delta):
            ids = generate(s, s.prompts, batch)
        decoded = s.tokenizer.batch_decode(ids, skip_special_tokens=True)
        texts[layer, alpha] = [stop.cut(text)[0] for text in decoded]
        s.scores(texts[layer, alpha])
    return Result(clock(s.model.device) - start, len(configs) * len(s.questions), texts)


def vector_again(s: Setting, layer: int) -> torch.Tensor:
    """Mean difference of right and wrong texts' last tokens, a forward pass each."""
    sums: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    seen: list[torch.Tensor] = []
    handle = s.model.model.layers[layer].register_forward_hook(
        lambda _m, _a, output: seen.append(output[0, -1])
    )
    try:
        for side in s.sides:
            reading = locate(s.tokenizer, side.prompt, side.completion, s.spec, "answer_last")
            assert reading is not None
            with torch.inference_mode():
                s.model(input_ids=torch.tensor([reading.ids], device=s.model.device))
            sums[side.label].append(seen.pop().float())
    finally:
        handle.remove()
    right, wrong = (torch.stack(sums[label]).mean(dim=0) for label in (True, False))
    return (right - wrong).to(s.model.dtype)


@contextmanager
def adding(module: torch.nn.Module, delta: torch.Tensor) -> Iterator[None]:
    """A hook as everyone writes it, for blocks that return a tensor: at the last column of every pass."""

    def hook(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[:, -1] += delta
        return output

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def generate(s: Setting, prompts: Sequence[str], batch: int, ends: bool = True) -> list[list[int]]:
    """`model.generate` in batches, greedily; without `ends`, every completion has all its tokens."""
    made: list[list[int]] = []
    width = s.sampling.max_new_tokens
    options = {} if ends else {"eos_token_id": None}
    for start in range(0, len(prompts), batch):
        texts = list(prompts[start : start + batch])
        inputs = s.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(
            s.model.device
        )
        with torch.inference_mode():
            ids = s.model.generate(**inputs, max_new_tokens=width, do_sample=False, use_cache=True, **options)
        made += ids[:, inputs["input_ids"].shape[1] :].tolist()
    return made


class Endless(SteeredGenerator):
    """Every completion has all its tokens, so that contenders do equally much."""

    @contextmanager
    def _decoder(self, *arguments: Any) -> Iterator[Any]:
        with super()._decoder(*arguments) as decoder:
            decoder.ends = set()
            yield decoder


class EndlessUnsteered(HfGenerator):
    @contextmanager
    def _decoder(self, *arguments: Any) -> Iterator[Any]:
        with super()._decoder(*arguments) as decoder:
            decoder.ends = set()
            yield decoder


def endless(s: Setting, generator: HfGenerator, steerings: Sequence[Any]) -> Result:
    """Completions of all questions, dealt out over the steerings: row r has steering r modulo their number."""
    requests = steered_requests(requests_for(s.prompts, 1), steerings)
    every = [requests[row * len(steerings) + row % len(steerings)] for row in range(len(s.prompts))]
    start = clock(s.model.device)
    made = complete(generator, every, s.sampling, [], 0)
    return Result(
        clock(s.model.device) - start,
        sum(len(one.token_ids) for one in made),
        {0: [one.text for one in made]},
    )


def endless_generate(s: Setting, patch: Any) -> Result:
    start = clock(s.model.device)
    with patch:
        ids = generate(s, s.prompts, s.batch, ends=False)
    seconds = clock(s.model.device) - start
    texts = s.tokenizer.batch_decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return Result(seconds, sum(map(len, ids)), {0: texts})
