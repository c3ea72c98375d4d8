"""Steering configurations scored a second: one stream for all of them, against one at a time as the seed did it.

    python benchmarks/steering_search.py [--model pocket 5M 0.5B] [--questions 32] [--rounds 3] [--device cuda]

Times are CPU time of one thread, so that what else runs does not matter; on a GPU, seconds. Contenders take turns in one
process. Three tables: layers x strengths x questions scored a second; what hooks cost, at equal lengths; and the same vector
with the `steering-vectors` package (`pip install --no-deps steering-vectors==0.12.2` and scikit-learn; left out, and said, where it is missing).

The seed's way is described in `steering_contenders.py`; beside it a better one that generates in batches.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import torch
from generation import SIZES, random_qwen3, trained_pocket
from steering_contenders import (
    Endless,
    EndlessUnsteered,
    Result,
    Setting,
    endless,
    endless_generate,
    ours,
    read_once,
    seeds_way,
)
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock, TaskBlock
from engines.steer.directions import Directions
from engines.steer.pairs import step_pairs
from engines.tasks.loading import load_examples, training_examples

TASK = TaskBlock(name="pocket-math")


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
