"""Completions a second: our back ends against lm-evaluation-harness's `hf` model and `model.generate`, in turns.

    python benchmarks/generation.py [--questions 512] [--rounds 3] [--sizes 5M 30M 0.5B] [--device cuda]

On a CPU in float32, on a GPU in bfloat16. First: greedy answers of a trained `pocket` to pocket-math test questions, at the same
batch size, dtype, stop rules and texts (checked), with the default system message. Then, on random Qwen3 models, sampled completions
of 64 tokens to short prompts, with vLLM beside them. Loading is not in the times; each measurement is a process of its
own. What is not installed (lm-eval, vLLM) is left out, and said.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import yaml

BATCH = 64
SIZES = {"5M": (192, 5), "30M": (512, 7), "0.5B": (1536, 18)}
"""Hidden size and layers."""
WORDS = 16_384

PROMPTS = """
import json, sys, time
from engines.prompts.rendering import render_prompt
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import GenerationBlock, ModelBlock, SamplingBlock, TaskBlock
from engines.tasks.loading import load_examples
from transformers import AutoTokenizer

directory, count, tokens, temperature, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
device, dtype = sys.argv[6], sys.argv[7]
spec = PromptSpec() if temperature == 0 else PromptSpec(system="")
tokenizer = AutoTokenizer.from_pretrained(directory)
prompts = [render_prompt(tokenizer, spec, e.question) for e in load_examples(TaskBlock(name="pocket-math"), "test")[:count]]
stop = spec.stop if temperature == 0 else []

def report(texts, tokens, wall, cpu):
    print("RESULT", json.dumps({"texts": texts, "tokens": tokens, "wall": wall, "cpu": cpu}))
"""
OURS = """
import torch, tempfile
from pathlib import Path
from engines.events import EventWriter
from engines.generation.generator import complete, requests_for
from engines.generation.open import open_generator
from engines.modeling.loading import load_tokenizer
from engines.run import Run

with tempfile.TemporaryDirectory() as folder:
    run = Run(dir=Path(folder), events=EventWriter(Path(folder)), seed=0)
    block = ModelBlock(base=directory, dtype=dtype)
    generation = GenerationBlock(backend=sys.argv[8], batch_size=batch, cache=False)
    generator = open_generator(block, generation, run, tokenizer=load_tokenizer(block, run), device=torch.device(device))
    sampling = SamplingBlock(max_new_tokens=tokens, temperature=temperature)
    complete(generator, requests_for(prompts, 1), sampling, stop, 1)
    wall, cpu = time.monotonic(), time.process_time()
    done = complete(generator, requests_for(prompts, 1), sampling, stop, 0)
    report([one.text for one in done], sum(len(one.token_ids) for one in done), time.monotonic() - wall, time.process_time() - cpu)
"""
LM_EVAL = """
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

model = HFLM(pretrained=directory, batch_size=batch, dtype=dtype, device=device)
options = {"until": [*stop, tokenizer.eos_token], "max_gen_toks": tokens, "do_sample": False}

def answers(texts):
    instances = [Instance("generate_until", {}, (text, dict(options)), index) for index, text in enumerate(texts)]
    return model.generate_until(instances, disable_tqdm=True)

answers(prompts)
wall, cpu = time.monotonic(), time.process_time()
texts = answers(prompts)
report(texts, sum(len(tokenizer(text)["input_ids"]) for text in texts), time.monotonic() - wall, time.process_time() - cpu)
"""
GENERATE = """
import torch
from transformers import AutoModelForCausalLM

tokenizer.padding_side = "left"
model = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype).eval().to(device)

def answers(texts):
    made = []
    for start in range(0, len(texts), batch):
        inputs = tokenizer(texts[start:start + batch], return_tensors="pt", padding=True, add_special_tokens=False).to(device)
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=tokens, do_sample=temperature > 0, temperature=temperature or None, top_k=0)
        made += ids[:, inputs["input_ids"].shape[1]:].tolist()
    return made

answers(prompts)
wall, cpu = time.monotonic(), time.process_time()
ids = answers(prompts)
pad = tokenizer.pad_token_id
report([], sum(sum(token != pad for token in row) for row in ids), time.monotonic() - wall, time.process_time() - cpu)
"""

BARE_VLLM = """
import os
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
import vllm

on_cpu = {"enforce_eager": True, "kv_cache_memory_bytes": 1 << 30} if device == "cpu" else {}
engine = vllm.LLM(directory, dtype=dtype, max_model_len=1024, **on_cpu)
inputs = [{"prompt_token_ids": ids} for ids in tokenizer(prompts, add_special_tokens=False)["input_ids"]]
wanted = vllm.SamplingParams(temperature=temperature, max_tokens=tokens, detokenize=False)
engine.generate(inputs, wanted, use_tqdm=False)
wall, cpu = time.monotonic(), time.process_time()
done = engine.generate(inputs, wanted, use_tqdm=False)
report([], sum(len(one.outputs[0].token_ids) for one in done), time.monotonic() - wall, time.process_time() - cpu)
"""


def measure(
    code: str, directory: Path, count: int, tokens: int, temperature: float, device: str, *rest: str
) -> dict:
    argv = [sys.executable, "-c", PROMPTS + code, str(directory)]
    argv += [str(count), str(tokens), str(temperature), str(BATCH)]
    argv += [device, "bfloat16" if device == "cuda" else "float32", *rest]
    added = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | added, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    if not found:
        sys.exit(done.stderr[-4000:])
    return json.loads(found[0][7:])


def table(title: str, contenders: dict, peer: str, rounds: int, count: int) -> dict[str, dict]:
    """Runs all in turns, and prints completions a second and ratios to the peer. Returns the last results."""
    print(
        f"\n{title}\n{'':<16} {'completions/s':>14} {'tokens/cpu-s':>13} {'against ' + peer:>20} {'(cpu time)':>11}"
    )
    results = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            results[name].append(run())
    for name, runs in results.items():
        ratios = [base["wall"] / mine["wall"] for mine, base in zip(runs, results[peer], strict=True)]
        cpu = [base["cpu"] / mine["cpu"] for mine, base in zip(runs, results[peer], strict=True)]
        rate = median(count / run["wall"] for run in runs)
        tokens = median(run["tokens"] / run["cpu"] for run in runs)
        span = f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"{name:<16} {rate:>14,.1f} {tokens:>13,.0f} {span:>20} {median(cpu):>11.2f}")
    return {name: runs[-1] for name, runs in results.items()}


def trained_pocket(folder: Path) -> Path:
    """`pocket` after 128 rows, merged: it knows the format, and its answers differ in length."""
    recipe = {
        "engine": "sft",
        "model": {"base": "pocket"},
        "task": "pocket-math",
        "train_samples": 128,
        "num_train_epochs": 10,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 1,
        "learning_rate": 5e-3,
        "lora": None,
        "device": "cpu",
    }
    run_dir = folder / "prep"
    run_dir.mkdir()
    (run_dir / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (run_dir / "launch.json").write_text(json.dumps({"attempt": 1, "name": "prep", "inputs": {}}))
    subprocess.run([sys.executable, "-P", "-m", "engines", str(run_dir)], capture_output=True, check=True)
    return run_dir / "model"


def random_qwen3(folder: Path, size: str, ends: int) -> Path:
    """A model of this size whose completions end at any of `ends` of its tokens, so that their lengths differ."""
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    from engines.modeling.sources import POCKET

    hidden, layers = SIZES[size]
    tokenizer = AutoTokenizer.from_pretrained(POCKET)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=WORDS,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 128,
        head_dim=64,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=list(range(WORDS - ends, WORDS)) or tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    directory = folder / f"{size}-{ends}"
    Qwen3ForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def answers(folder: Path, count: int, rounds: int, device: str) -> None:
    """The first table: greedy answers, beside lm-eval's."""
    model = trained_pocket(folder)
    contenders = {
        "hf": lambda: measure(OURS, model, count, 96, 0.0, device, "hf"),
        "hf-continuous": lambda: measure(OURS, model, count, 96, 0.0, device, "hf-continuous"),
    }
    peer = "lm-eval" if find_spec("lm_eval") else "hf"
    if peer == "lm-eval":
        contenders = {"lm-eval": lambda: measure(LM_EVAL, model, count, 96, 0.0, device)} | contenders
    else:
        print("lm-eval is not installed: `pip install lm-eval` to compare with it")
    title = f"greedy, {count} pocket-math questions, batch {BATCH}, {device}, stop at </SOLUTION>"
    last = table(title, contenders, peer, rounds, count)
    if peer == "lm-eval":
        ends = [text.removesuffix("</SOLUTION>").strip() for text in last["hf"]["texts"]]
        same = sum(a == b.strip() for a, b in zip(ends, last["lm-eval"]["texts"], strict=True))
        print(f"same texts: {same} of {count}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="*", default=["5M"], choices=list(SIZES))
    parser.add_argument("--only-sizes", action="store_true", help="leave out the first table")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments = parser.parse_args()
    count, rounds, device = arguments.questions, arguments.rounds, arguments.device
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not arguments.only_sizes:
            answers(folder, count, rounds, device)
        if not find_spec("vllm"):
            print("vLLM is not installed: `make test-vllm` makes an environment that has it")
        for size in arguments.sizes:
            for ends, lengths in ((0, "64 tokens"), (512, "1 to 64 tokens")):
                directory = random_qwen3(folder, size, ends)
                sampled = {
                    "generate": lambda: measure(GENERATE, directory, 256, 64, 1.0, device),  # noqa: B023
                    "hf": lambda: measure(OURS, directory, 256, 64, 1.0, device, "hf"),  # noqa: B023
                }
                if find_spec("vllm"):
                    sampled["bare vLLM"] = lambda: measure(BARE_VLLM, directory, 256, 64, 1.0, device)  # noqa: B023
                    sampled["vllm"] = lambda: measure(OURS, directory, 256, 64, 1.0, device, "vllm")  # noqa: B023
                title = f"sampled, 256 prompts x {lengths}, random Qwen3 of {size}"
                table(title, sampled, "generate", rounds, 256)


if __name__ == "__main__":
    main()
