"""A tiny Llama with a tokenizer of its own, and a run directory: what the engines' tests train and generate with."""

import json
import multiprocessing
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.events import EventWriter
from engines.run import Run

LINES = [
    "You are given a problem. Think about the problem and provide your working out.",
    "Place it between <start_working_out> and <end_working_out>. Then, provide your solution between <SOLUTION></SOLUTION>",
    "Tom has 12 apples and buys 30 more. How many apples does he have now?",
    "He has 12 + 30 = 42 apples. Each box holds 6 eggs, so 5 boxes hold 5 * 6 = 30 eggs.",
    "0 1 2 3 4 5 6 7 8 9 10 100 1000 + - * / = . , ? ! $ %",
]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a random Llama of about 200,000 parameters, ChatML template included."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    directory = tmp_path_factory.mktemp("tiny") / "model"
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(LINES * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|pad|>", chat_template=CHATML
    )
    tokenizer.save_pretrained(directory)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,  # the smallest that vLLM has kernels for on a CPU
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        initializer_range=0.2,  # spread-out logits, so that greedy choices do not hang on rounding
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(directory)
    return directory


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Makes a run in a directory of its own below the test's."""

    def make(name: str = "run", **options: object) -> Run:
        directory = tmp_path / name
        directory.mkdir(parents=True, exist_ok=True)
        return Run(dir=directory, events=EventWriter(directory), name=name, **{"seed": 42, **options})  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with GSM8K-like train and test files: 60 and 12 short sums."""
    directory = tmp_path_factory.mktemp("sums")
    for split, start, count in (("train", 1, 60), ("test", 1000, 12)):
        rows = [
            {
                "question": f"Tom has {n} apples and buys {n % 7 + 1} more. How many apples does he have now?",
                "answer": f"He has {n} + {n % 7 + 1} = <<{n}+{n % 7 + 1}={n + n % 7 + 1}>>{n + n % 7 + 1} apples.\n#### {n + n % 7 + 1}",
            }
            for n in range(start, start + count)
        ]
        (directory / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return directory


@pytest.fixture
def read_events() -> Callable[[Run], list[dict[str, Any]]]:
    """The events that a run has written, oldest first."""

    def read(run: Run) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (run.dir / "events.jsonl").read_text().splitlines()]

    return read


@pytest.fixture(scope="session")
def solver(tiny_model: Path, sums: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directory of a tiny model that knows some of the sums by heart: 28 as they are, 10 when told `It is N.`"""
    from engines.recipe.blocks import TaskBlock
    from engines.sft import Recipe, run
    from engines.tasks.loading import training_examples

    directory = tmp_path_factory.mktemp("solver")
    task = {"name": "gsm8k", "path": str(sums), "dev_examples": 10}
    rows = []
    for number, example in enumerate(training_examples(TaskBlock.model_validate(task), 38, 42)):
        hint = f" It is {example.answer}." if number >= 28 else ""
        answer = f"{example.reasoning}\n\n#### {example.answer}"
        rows.append({"question": example.question + hint, "answer": answer})
    (directory / "by_heart.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = Recipe.model_validate(
        {
            "engine": "sft",
            "model": {"base": str(tiny_model)},
            "lora": None,
            "task": task,
            "prompt": {"system": ""},
            "traces": str(directory / "by_heart.jsonl"),
            "num_train_epochs": 30,
            "per_device_train_batch_size": 10,
            "gradient_accumulation_steps": 1,
            "learning_rate": 2e-3,
            "save_steps": 1000,
            "device": "cpu",
        }
    )
    run(recipe, Run(dir=directory, events=EventWriter(directory), seed=42, name="solver"))
    return directory


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A model of which it is known how to steer it (see planted.py), with `model` and `questions` as directories."""
    directory = tmp_path_factory.mktemp("planted")
    found = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "planted.py")))
    found.model = found.build(directory / "model")
    found.questions = found.write_questions(directory / "questions")
    return found


@pytest.fixture(scope="session")
def kill_at() -> Callable[..., int]:
    """Runs one attempt at a job in a new process that is killed at a place; gives its exit code, negative for a signal.

    The processes are forked from a server that has imported the training stack once and computed nothing yet.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["engines.training.supervised", "engines.generation.open", "engines.generation.hf"]
    )
    script = str(Path(__file__).parent / "killed_worker.py")

    def attempt(run_dir: Path, engine: str, recipe: Any, where: str = "nowhere") -> int:
        run_dir.mkdir(parents=True, exist_ok=True)
        arguments = (str(run_dir), engine, recipe.model_dump_json(by_alias=True), {}, where)
        process = context.Process(target=runpy.run_path, args=(script, {"arguments": arguments}))
        process.start()
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    return attempt
