"""A GRPO step through Tunedeck against the same TRL script run bare: seconds a step, in turns, in one run.

    python benchmarks/grpo_step_time.py [--steps 12] [--rounds 3]

Both go on from the same prep adapter of `pocket`, with the same questions, reward and arguments, on the CPU; the clock
runs from the end of the first optimizer step to the end of the last. The bare script generates with `model.generate`
and stops at the end token; its completions are as long as ours, as prep teaches to end there too. Both give the tokens
that they generated, so that luck with lengths can be told from speed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import yaml

TASK = {"task": "pocket-math", "prompt": {"system": ""}, "device": "cpu", "seed": 1}
LORA = {"lora": {"r": 16, "lora_alpha": 32}}
PREP = {
    "engine": "sft",
    "stage": "prep",
    "model": {"base": "pocket"},
    "train_samples": 128,
    "num_train_epochs": 10,
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 1,
    "learning_rate": 5e-3,
    **TASK,
    **LORA,
}
GRPO = {
    "engine": "grpo",
    "model": {"from": "prep"},
    "num_generations": 8,
    "per_device_train_batch_size": 64,
    "gradient_accumulation_steps": 2,
    "max_completion_length": 96,
    "learning_rate": 1e-3,
    "save_steps": 1000,
    **TASK,
    **LORA,
}

BARE = """
import json, sys, time
from datasets import Dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed
from trl import GRPOConfig, GRPOTrainer
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import TaskBlock
from engines.rewards.verifiable import reward, well_formed
from engines.tasks.grading import grade
from engines.tasks.loading import training_examples

base, adapter, steps, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
spec = PromptSpec(system="")
examples = training_examples(TaskBlock(name="pocket-math"), 16 * steps, 1)
data = Dataset.from_list([{"prompt": spec.messages(e.question), "answer": e.answer} for e in examples])
times, tokens = [], []

def verifiable(completions, completion_ids, answer, **_):
    tokens.append(sum(map(len, completion_ids)))
    rewards = []
    for [message], gold in zip(completions, answer):
        text = message["content"]
        rewards.append(reward(grade(text, gold, spec, True), well_formed(text, spec), 0.0, 0.0))
    return rewards

class Clock(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        times.append(time.time())

set_seed(1)
model = AutoModelForCausalLM.from_pretrained(base, dtype="float32")
tokenizer = AutoTokenizer.from_pretrained(adapter, padding_side="left")
trainer = GRPOTrainer(
    model=PeftModel.from_pretrained(model, adapter, is_trainable=True),
    processing_class=tokenizer,
    reward_funcs=verifiable,
    train_dataset=data,
    callbacks=[Clock()],
    args=GRPOConfig(
        output_dir=out, use_cpu=True, bf16=False, gradient_checkpointing=False, seed=1, max_steps=steps,
        learning_rate=1e-3, per_device_train_batch_size=64, gradient_accumulation_steps=2, num_generations=8,
        max_completion_length=96, warmup_steps=0.05, lr_scheduler_type="cosine", scale_rewards="none",
        mask_truncated_completions=True, shuffle_dataset=False, logging_steps=1, save_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
    ),
)
trainer.train()
print("RESULT", json.dumps({"seconds": (times[-1] - times[0]) / (len(times) - 1), "tokens": sum(tokens)}))
"""


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "HF_HUB_OFFLINE": "1"}


def tunedeck(body: dict[str, Any], folder: Path, inputs: dict[str, str]) -> list[dict[str, Any]]:
    """The events of a job."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(body))
    (folder / "launch.json").write_text(json.dumps({"attempt": 1, "name": "bench", "inputs": inputs}))
    argv = [sys.executable, "-P", "-m", "engines", str(folder)]
    subprocess.run(argv, capture_output=True, env=environment(), check=True)
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def ours(prep: Path, steps: int, folder: Path) -> tuple[float, int]:
    """Seconds a step, and the tokens that were generated."""
    body = GRPO | {"train_samples": 16 * steps}
    events = tunedeck(body, folder / "run", {"prep": str(prep)})
    logged = [event["time"] for event in events if event["kind"] == "metrics" and "loss" in event["values"]]
    [tokens] = [event["value"] for event in events if event.get("name") == "budget/generated_tokens"]
    return (logged[-1] - logged[0]) / (len(logged) - 1), tokens


def bare(prep: Path, steps: int, folder: Path) -> tuple[float, int]:
    import engines.modeling

    base = Path(engines.modeling.__file__).parent / "pocket"
    argv = [sys.executable, "-c", BARE, str(base), str(prep / "model"), str(steps), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment(), check=True)
    result = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))[7:])
    return result["seconds"], result["tokens"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as work:
        prep = Path(work) / "prep"
        tunedeck(PREP, prep, {})
        print(
            f"{'round':<8} {'tunedeck, s/step':>17} {'tokens':>8} {'bare TRL, s/step':>17} {'tokens':>8} {'ratio':>7}"
        )
        for number in range(1, arguments.rounds + 1):
            folder = Path(work) / str(number)
            folder.mkdir()
            first, tokens = ours(prep, arguments.steps, folder)
            second, their_tokens = bare(prep, arguments.steps, folder)
            ratios.append(first / second)
            print(
                f"{number:<8} {first:>17.2f} {tokens:>8,} {second:>17.2f} {their_tokens:>8,} {ratios[-1]:>7.3f}"
            )
    print(f"{'median':<8} {'':>17} {'':>8} {'':>17} {'':>8} {median(ratios):>7.3f}")


if __name__ == "__main__":
    main()
