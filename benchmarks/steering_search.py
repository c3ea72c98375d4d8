"""Steering configurations scored a second: one stream for all of them, against one at a time as the seed did it.

    python benchmarks/steering_search.py [--model pocket 5M 0.5B] [--questions 32] [--rounds 3] [--device cuda]

Times are CPU time of one thread, so that what else runs does not matter; on a GPU, seconds. Contenders take turns in one
process. Three tables: layers x strengths x questions scored a second; what hooks cost, at equal lengths; and the same vector
with the `steering-vectors` package (`pip install --no-deps steering-vectors==0.12.2` and scikit-learn; left out, and said, where it is missing).

The seed's way is rebuilt from the pipeline that it describes: for each configuration the vector is read again, a forward pass
a text without a batch, and then `model.generate` adds it at the last column of every pass, one question at a time. It does not
know our stop string; like any `generate`, it ends at the end token. Beside it a better one that generates in batches.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch
from generation import SIZES, random_qwen3, trained_pocket
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from engines.generation.generator import complete, requests_for
from engines.generation.hf import HfGenerator
from engines.generation.stopping import StopStrings
from engines.prompts.rendering import render_prompt
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock, TaskBlock
from engines.steer.activations import locate
from engines.steer.directions import Directions
from engines.steer.draft import DraftingGenerator
from engines.steer.extraction import extract, find_directions
from engines.steer.generate import SteeredGenerator, steered_requests
from engines.steer.pairs import Side, step_pairs
from engines.tasks.example import Example
from engines.tasks.grading import grade
from engines.tasks.loading import load_examples, training_examples

Config = tuple[int, float]
"""Layer, and strength in units of the raw difference."""
TASK = TaskBlock(name="pocket-math")


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


def in_turns(
    title: str, what: str, contenders: dict[str, Callable[[], Result]], peers: Sequence[str], rounds: int
) -> dict[str, Result]:
    """Runs all in turns, and prints rates, ratios to the peers, and how many texts are those of the first contender."""
    results: dict[str, list[Result]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            results[name].append(run())
    heads = "".join(f" {'against ' + peer:>48}" for peer in peers)
    print(f"\n{title}\n{'':<36} {what:>10} {'same texts':>12}{heads}")
    first = next(iter(results.values()))[-1]
    for name, runs in results.items():
        rates = [run.items / run.seconds for run in runs]
        spans = ""
        for peer in peers:
            base = [run.items / run.seconds for run in results[peer]]
            ratios = [mine / other for mine, other in zip(rates, base, strict=True)]
            spans += f" {f'{median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})':>48}"
        pairs = [
            (text, other)
            for key, column in runs[-1].texts.items()
            for text, other in zip(column, first.texts[key], strict=True)
        ]
        same = f"{sum(text == other for text, other in pairs)} of {len(pairs)}"
        print(f"{name:<36} {median(rates):>10,.1f} {same:>12}{spans}", flush=True)
    return {name: runs[-1] for name, runs in results.items()}


def search_table(s: Setting, alone: int, rounds: int) -> None:
    some = s.configs[:: max(1, len(s.configs) // alone)][:alone]
    seed, batched = f"the seed's way ({len(some)} configurations)", f"the same in batches of {s.batch}"
    contenders = {
        "ours": lambda: ours(s, drafting=False),
        "ours with drafts": lambda: ours(s, drafting=True),
        seed: lambda: seeds_way(s, 1, some),
        batched: lambda: seeds_way(s, s.batch, s.configs),
    }
    if s.model.dtype != torch.float32:
        del contenders["ours with drafts"]  # they are exact in float32 only
    title = f"{len(s.configs)} configurations x {len(s.questions)} questions, {len(s.sides)} texts to read the vector from"
    last = in_turns(title, "scored/s", contenders, (seed, batched), rounds)
    for name in (seed, batched):
        pairs = [
            (s.scores(last["ours"].texts[config]), s.scores(column))
            for config, column in last[name].texts.items()
        ]
        same = sum(sum(mine) == sum(theirs) for mine, theirs in pairs)
        print(f"configurations with the same score, ours and {name}: {same} of {len(pairs)}")


def hook_tables(s: Setting, found: Directions, rounds: int) -> None:
    """What hooks cost, and the `steering-vectors` package, at equal lengths."""
    layer, alpha = s.configs[len(s.configs) // 2]
    one = found.steering([layer], alpha, norm_kind="raw_difference")
    mixed = [
        None if number % 4 == 3 else found.steering([layer], alpha, norm_kind="raw_difference")
        for number, (layer, alpha) in enumerate(s.configs)
    ]
    width = s.sampling.max_new_tokens
    plain = EndlessUnsteered(s.model, s.tokenizer, s.batch)
    contenders = {
        "unsteered": lambda: endless(s, plain, [None]),
        "one configuration": lambda: endless(s, Endless(s.model, s.tokenizer, s.batch, [one]), [one]),
        "all configurations mixed": lambda: endless(
            s, Endless(s.model, s.tokenizer, s.batch, [row for row in mixed if row]), mixed
        ),
    }
    in_turns(
        f"what hooks cost, {len(s.questions)} completions of {width} tokens",
        "tokens/s",
        contenders,
        ["unsteered"],
        rounds,
    )

    everywhere = found.steering([layer], alpha, norm_kind="raw_difference", where={"prompt": "all"})
    contenders = {
        "ours": lambda: endless(s, Endless(s.model, s.tokenizer, s.batch, [everywhere]), [everywhere]),
        "model.generate, unsteered": lambda: endless_generate(s, nullcontext()),
    }
    if find_spec("steering_vectors") and find_spec("sklearn"):
        from steering_vectors import SteeringVector

        place = found.layers.index(layer)
        vector = SteeringVector(
            {layer: (found.unit[place] * found.raw_norm[place]).to(s.model.device, s.model.dtype)}
        )
        contenders["steering-vectors 0.12.2"] = lambda: endless_generate(
            s, vector.apply(s.model, multiplier=alpha)
        )
        peer = "steering-vectors 0.12.2"
    else:
        print(
            "\nsteering-vectors is not installed: `pip install --no-deps steering-vectors==0.12.2` and scikit-learn to compare"
        )
        peer = "model.generate, unsteered"
    title = f"the same vector at every token, {len(s.questions)} completions of {width} tokens"
    in_turns(title, "tokens/s", contenders, [peer], rounds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", choices=["pocket", *SIZES])
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--layers", type=int, default=5, help="at most; evenly over the model")
    parser.add_argument("--alphas", type=float, nargs="*", default=[-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument(
        "--alone",
        type=int,
        default=2,
        help="configurations that the seed's way itself is run for, as it is slow",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        directory = (
            trained_pocket(folder)
            if arguments.model == "pocket"
            else random_qwen3(folder, arguments.model, 512)
        )
        dtype = torch.bfloat16 if arguments.device == "cuda" else torch.float32
        tokenizer = AutoTokenizer.from_pretrained(directory, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype).eval().to(arguments.device)
        spec = PromptSpec()
        count = model.config.num_hidden_layers
        some = sorted(
            {round(place * (count - 1) / max(1, arguments.layers - 1)) for place in range(arguments.layers)}
        )
        configs = [(layer, alpha) for layer in some for alpha in arguments.alphas]
        examples = training_examples(TASK, 4 * arguments.pairs, 0)
        sides = step_pairs(tokenizer, spec, examples, 0)[: 2 * arguments.pairs]
        questions = load_examples(TASK, "test")[: arguments.questions]
        sampling = SamplingBlock(max_new_tokens=arguments.tokens)
        s = Setting(model, tokenizer, spec, questions, sides, configs, arguments.batch, sampling)
        parameters = sum(one.numel() for one in model.parameters())
        print(f"{arguments.model}: {parameters:,} parameters, {count} layers, {dtype}, {arguments.device}")
        search_table(s, arguments.alone, arguments.rounds)
        found = read_once(s, folder / "store")
        wide = load_examples(TASK, "test")[: arguments.batch]
        hook_tables(
            Setting(model, tokenizer, spec, wide, sides, configs, arguments.batch, sampling),
            found,
            arguments.rounds,
        )


if __name__ == "__main__":
    main()
