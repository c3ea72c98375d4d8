"""SFT through Tunedeck against the same TRL script run bare: tokens/s, in turns, in one run.

    python benchmarks/sft_throughput.py [--rows 512] [--rounds 3]

Both train `pocket` on the same rows with the same arguments, on the CPU; the clock runs from the end of the first
optimizer step to the end of the last, so that start-up is not in it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import yaml

BARE = """
import json, sys, time
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import TaskBlock
from engines.tasks.loading import training_examples

model_dir, rows, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
spec = PromptSpec()
examples = training_examples(TaskBlock(name="pocket-math"), rows, 42)
data = Dataset.from_list([
    {"prompt": spec.messages(e.question),
     "completion": [{"role": "assistant", "content": spec.completion(e.reasoning, e.answer)}]}
    for e in examples
])
times = []

class Clock(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        times.append(time.time())

set_seed(42)
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(model_dir, dtype="float32"),
    processing_class=AutoTokenizer.from_pretrained(model_dir),
    train_dataset=data,
    peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    callbacks=[Clock()],
    args=SFTConfig(
        output_dir=out, use_cpu=True, bf16=False, gradient_checkpointing=False, seed=42, num_train_epochs=2,
        learning_rate=2e-4, per_device_train_batch_size=4, gradient_accumulation_steps=4, warmup_steps=0.05,
        lr_scheduler_type="cosine", logging_steps=1, max_length=1024, report_to="none", disable_tqdm=True,
        save_strategy="epoch", save_total_limit=2, dataloader_pin_memory=False,
    ),
)
trainer.train()
tokens = trainer.state.num_input_tokens_seen or trainer.state.log_history[-2]["num_tokens"]
print("RESULT", json.dumps({"steps": len(times), "seconds": times[-1] - times[0], "tokens": tokens}))
"""


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "HF_HUB_OFFLINE": "1"}


def bare(rows: int, folder: Path) -> tuple[float, int]:
    """Tokens a second, and the number of steps."""
    import engines.modeling

    model = Path(engines.modeling.__file__).parent / "pocket"
    argv = [sys.executable, "-c", BARE, str(model), str(rows), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment(), check=True)
    result = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))[7:])
    steps = result["steps"]
    return result["tokens"] * (steps - 1) / steps / result["seconds"], steps


def tunedeck(rows: int, folder: Path) -> tuple[float, int]:
    recipe = {
        "engine": "sft",
        "model": {"base": "pocket"},
        "task": "pocket-math",
        "train_samples": rows,
        "device": "cpu",
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "launch.json").write_text(json.dumps({"attempt": 1, "name": "bench", "inputs": {}}))
    argv = [sys.executable, "-P", "-m", "engines", str(folder)]
    subprocess.run(argv, capture_output=True, env=environment(), check=True)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    logged = [event for event in events if event["kind"] == "metrics" and "loss" in event["values"]]
    steps = len(logged)
    seconds = logged[-1]["time"] - logged[0]["time"]
    return logged[-1]["values"]["tokens"] * (steps - 1) / steps / seconds, steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'round':<8} {'tunedeck, tokens/s':>19} {'bare TRL, tokens/s':>19} {'ratio':>7}")
    ratios = []
    for number in range(1, arguments.rounds + 1):
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            ours, steps = tunedeck(arguments.rows, Path(first))
            theirs, their_steps = bare(arguments.rows, Path(second))
        assert steps == their_steps, (steps, their_steps)
        ratios.append(ours / theirs)
        print(f"{number:<8} {ours:>19,.0f} {theirs:>19,.0f} {ratios[-1]:>7.3f}")
    print(f"{'median':<8} {'':>19} {'':>19} {median(ratios):>7.3f}")


if __name__ == "__main__":
    main()
