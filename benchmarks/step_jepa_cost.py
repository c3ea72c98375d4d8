"""What predicting steps costs: seconds and FLOPs of a training step against ordinary fine-tuning, in turns, in one run.

    python benchmarks/step_jepa_cost.py [--size 30M] [--rounds 5] [--batch 4] [--device cuda]

Rows of 320 tokens with five steps (a prompt of 120, steps of 40) and K = 2 predictors, on a random Llama; float32 on a
CPU, bfloat16 on a GPU, where FlexAttention runs beside sdpa. A step is forward, backward and AdamW. FLOPs are those of
forward and backward, counted by torch, which counts attention as if it were dense.

Beside our layouts stand those of the published code, rebuilt from its description: the doubled batch, whose second half
repeats every row with the second step isolated (one pair), and separate forwards for the views, of one pair and of all.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from engines.jepa.collate import PackedBatch, collate
from engines.jepa.fields import JepaBlock
from engines.jepa.layout import pack, plain
from engines.jepa.masks import FLEX_BLOCK
from engines.jepa.model import JepaModel
from engines.jepa.objective import embedding_loss, language_loss
from engines.jepa.predictor import make_predictor
from engines.jepa.rows import Step, SteppedRow
from engines.training.rows import IGNORED

SIZES = {"5M": (192, 5, 16_384), "30M": (448, 9, 16_384), "0.5B": (1536, 14, 65_536)}
"""Hidden size, layers, vocabulary."""
PROMPT, STEPS, LENGTH, PREDICTORS = 120, 5, 40, 2


def stepped_row(index: int, words: int) -> SteppedRow:
    count = PROMPT + STEPS * LENGTH
    ids = torch.randint(0, words, (count,), generator=torch.Generator().manual_seed(index)).tolist()
    starts = range(PROMPT, count, LENGTH)
    steps = tuple(Step(start, start + LENGTH, start + LENGTH) for start in starts)
    return SteppedRow(f"row-{index}", ids, [IGNORED] * PROMPT + ids[PROMPT:], steps)


def part(row: SteppedRow, start: int, end: int) -> SteppedRow:
    """A view of its own: these tokens and no more, without a language loss."""
    return SteppedRow(row.id, row.input_ids[start:end], [IGNORED] * (end - start))


def separate(row: SteppedRow, pairs: int) -> list[SteppedRow]:
    """What each forward of the published code sees, beside the row itself: the text so far, and the step alone."""
    ends = [(row.steps[i].end, row.steps[i + 1]) for i in range(pairs)]
    return [view for end, step in ends for view in (part(row, 0, end), part(row, step.start, step.end))]


def trained(model: JepaModel, batches: list[PackedBatch], block: JepaBlock) -> torch.Tensor:
    """The loss of one optimizer step over these passes, after its backward."""
    total = torch.zeros(())
    for batch in batches:
        out = model(batch)
        loss = language_loss(out) / max(1, batch.label_count)
        if len(batch.pairs):
            alone = torch.full((len(batch.pairs),), -1, device=loss.device)
            loss = loss + embedding_loss(block, out["predictions"], out["targets"], alone) / len(batch.pairs)
        loss.backward()
        total = total + loss.detach().cpu()
    return total


def contenders(size: str, batch: int, device: str) -> dict[str, Callable[[], None]]:
    """By name: one whole optimizer step."""
    hidden, layers, words = SIZES[size]
    rows = [stepped_row(index, words) for index in range(batch)]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=words, hidden_size=hidden, intermediate_size=3 * hidden, num_hidden_layers=layers,
        num_attention_heads=hidden // 64, num_key_value_heads=hidden // 64, max_position_embeddings=1024,
        tie_word_embeddings=True,
    )  # fmt: skip
    block = JepaBlock(predictors=PREDICTORS)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    lm = LlamaForCausalLM(config).to(device, dtype)
    model = JepaModel(lm, make_predictor(block, lm.get_input_embeddings(), 0)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=device == "cuda")
    made = {
        "regular": [[plain(row) for row in rows]],
        "steps: all pairs": [[pack(row, predictors=PREDICTORS) for row in rows]],
        "step: one pair": [[pack(row, predictors=PREDICTORS, first_only=True) for row in rows]],
        "doubled batch, one pair": [
            [plain(row) for row in rows] + [pack(row, predictors=PREDICTORS, first_only=True) for row in rows]
        ],
        "separate, one pair": [[plain(row) for row in rows]],
        "separate, all pairs": [[plain(row) for row in rows]],
    }
    # The published row holds the predictors in its middle and the second step in its place, not behind it.
    made["doubled batch, one pair"][0][batch:] = [
        replace(one, **{name: getattr(one, name)[: 320 + PREDICTORS] for name in ROW_LISTS}, segments=one.segments[:2], pairs=())
        for one in made["doubled batch, one pair"][0][batch:]
    ]  # fmt: skip
    for name, pairs in (("separate, one pair", 1), ("separate, all pairs", STEPS - 1)):
        views = [separate(row, pairs) for row in rows]
        made[name] += [[plain(view[index]) for view in views] for index in range(2 * pairs)]

    def step(batches: list[PackedBatch], kernel: str) -> Callable[[], None]:
        def run() -> None:
            with model.attention(kernel):
                trained(model, batches, block)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return run

    def batched(parts: list[list], multiple_of: int = 1) -> list[PackedBatch]:
        return [collate(p, pad_token=0, multiple_of=multiple_of).to(torch.device(device)) for p in parts]

    found = {name: step(batched(parts), "sdpa") for name, parts in made.items()}
    if device == "cuda":
        found["steps: all pairs, flex"] = step(
            batched(made["steps: all pairs"], FLEX_BLOCK), "flex_attention"
        )
    return found


ROW_LISTS = ("input_ids", "labels", "position_ids", "predictors", "group", "reach")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="30M", choices=list(SIZES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    steps = contenders(arguments.size, arguments.batch, arguments.device)
    flops, memory = {}, {}
    for name, step in steps.items():  # also the warm-up
        step()
        if arguments.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        with FlopCounterMode(display=False) as counter:
            step()
        flops[name] = counter.get_total_flops()
        memory[name] = torch.cuda.max_memory_allocated() / 2**30 if arguments.device == "cuda" else 0.0
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            # On a CPU the time of this one thread, which other work on the machine does not lengthen.
            clock = time.perf_counter if arguments.device == "cuda" else time.process_time
            began = clock()
            step()
            if arguments.device == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(clock() - began)
    tokens = arguments.batch * (PROMPT + STEPS * LENGTH)
    print(f"random Llama of {arguments.size}, batch {arguments.batch} x 320 tokens, {arguments.device}")
    print(f"{'':<26} {'seconds':>8} {'tokens/s':>9} {'against regular':>20} {'FLOPs':>6} {'GiB':>6}")
    for name in steps:
        ratios = [mine / base for mine, base in zip(seconds[name], seconds["regular"], strict=True)]
        span = f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        own = median(seconds[name])
        used = f"{memory[name]:.2f}" if memory[name] else ""
        print(
            f"{name:<26} {own:>8.3f} {tokens / own:>9,.0f} {span:>20} {flops[name] / flops['regular']:>6.2f} {used:>6}"
        )


if __name__ == "__main__":
    main()
