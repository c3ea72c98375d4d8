"""What gradient surgery costs: seconds of an actor's update with PCGrad against the pooled one, in turns, in one run.

    OMP_NUM_THREADS=1 python benchmarks/pcgrad_cost.py [--tasks 6] [--rounds 7] [--rows 4] [--tokens 48] [--full]

Each task has micro-batches of its own; an update is forward, backward, what the method does, and AdamW, on a random Llama
with a LoRA adapter of rank 16 on every linear layer (`--full`: all weights). Beside ours stands TorchJD's autojac, where it
is installed: the same losses with all graphs alive, its Jacobian, and its PCGrad. Seconds are of CPU time on a CPU.
"""

import argparse
import importlib.util
import os
import resource
import time
from collections.abc import Callable
from statistics import median

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from engines.distributed.world import World
from engines.surgery.gramian import groups_of, unflatten
from engines.surgery.methods import Situation
from engines.surgery.rows import collect, operate, pooled

WORDS = 4096


class Bench:
    """A model, and a batch of every task."""

    def __init__(self, tasks: int, rows: int, tokens: int, full: bool, device: str) -> None:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=WORDS, hidden_size=192, intermediate_size=512, num_hidden_layers=4,
            num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=True,
        )  # fmt: skip
        model = LlamaForCausalLM(config)
        if not full:
            model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
        self.model = model.to(device)
        named = [(name, one) for name, one in self.model.named_parameters() if one.requires_grad]
        self.names, self.parameters = [name for name, _ in named], [one for _, one in named]
        self.ids = torch.randint(0, WORDS, (tasks * rows, tokens), device=device)
        self.advantages = torch.randn(tasks * rows, tokens - 1, device=device)
        self.members = [list(range(task * rows, (task + 1) * rows)) for task in range(tasks)]
        self.groups = groups_of(self.names, [one.numel() for one in self.parameters], "global")
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-6)
        self.world = World()
        self.updates = 0

    def loss(self, turn: list[int], total: int | None = None) -> Tensor:
        """A task's policy loss at ratio 1, as a mean over `total` rows."""
        ids = self.ids[turn]
        logits = self.model(input_ids=ids).logits[:, :-1]
        logps = logits.gather(-1, ids[:, 1:, None])[..., 0] - logits.logsumexp(dim=-1)
        ratio = (logps - logps.detach()).exp()
        return -(ratio * self.advantages[turn]).mean(dim=1).sum() / (total or len(turn))

    def step(self, update: Tensor) -> None:
        unflatten(update, self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.updates += 1

    def pooled(self) -> None:
        self.step(
            pooled(self.parameters, self.members, lambda turn: self.loss(turn, len(self.ids)), self.world)
        )

    def operated(self, method: str, halved: bool = False) -> None:
        count = len(self.members)
        turns = [[own[: len(own) // 2], own[len(own) // 2 :]] if halved else [own] for own in self.members]
        rows = collect(
            self.parameters,
            turns,
            lambda turn: self.loss(turn, len(self.members[0])),
            self.world,
            halved=halved,
        )
        shares = torch.full((count,), 1 / count, dtype=torch.float64)
        targets = torch.zeros(count, count, dtype=torch.float64)

        def situation(_: str) -> Situation:
            return Situation(
                torch.Generator().manual_seed(self.updates), shares, tuple(range(count)), targets
            )

        self.step(operate(rows, self.groups, method, situation, self.world)[0])  # type: ignore[arg-type]

    def torchjd(self, chunk: int | None) -> None:
        from torchjd.aggregation import PCGrad
        from torchjd.autojac import backward, jac_to_grad

        losses = [self.loss(own) for own in self.members]
        backward(losses, inputs=self.parameters, parallel_chunk_size=chunk)
        jac_to_grad(self.parameters, PCGrad())
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def contenders(bench: Bench) -> dict[str, Callable[[], None]]:
    """By name: one whole update."""
    found: dict[str, Callable[[], None]] = {
        "pooled": bench.pooled,
        "equal": lambda: bench.operated("equal"),
        "pcgrad": lambda: bench.operated("pcgrad"),
        "pcgrad, measured": lambda: bench.operated("pcgrad", halved=True),
    }
    if importlib.util.find_spec("torchjd") is not None:
        # Graphs are kept for every task; vmap over them does not go with fused attention, one at a time does.
        found["TorchJD autojac, one task at a time"] = lambda: bench.torchjd(1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    bench = Bench(arguments.tasks, arguments.rows, arguments.tokens, arguments.full, arguments.device)
    clock = time.process_time if arguments.device == "cpu" else time.perf_counter
    seconds: dict[str, list[float]] = {}
    for turn in range(arguments.rounds + 1):
        for name, update in contenders(bench).items():
            began = clock()
            update()
            if arguments.device == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first is warm-up
                seconds.setdefault(name, []).append(clock() - began)
    count = sum(one.numel() for one in bench.parameters)
    what = "all weights" if arguments.full else "LoRA"
    print(
        f"{arguments.tasks} tasks, {what}: {count:,} trained, medians of {arguments.rounds} updates in turns\n"
    )
    print(f"{'update':<38}{'seconds':>9}{'of pooled':>11}{'least..most':>16}")
    base = seconds["pooled"]
    for name, found in seconds.items():
        ratios = [one / own for one, own in zip(found, base, strict=True)]
        spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
        print(f"{name:<38}{median(found):>9.3f}{median(ratios):>10.2f}x{spread:>16}")
    print(f"\npeak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
