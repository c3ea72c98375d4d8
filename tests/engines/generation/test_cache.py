import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from engines.generation.cache import CachedGenerator, append_completions, read_completions
from engines.generation.completion import Completion
from engines.generation.generator import Request, complete, requests_for
from engines.generation.keys import set_key
from engines.generation.lengths import LengthHistory
from engines.generation.open import open_generator
from engines.modeling.identity import weights_identity
from engines.modeling.loading import load_tokenizer
from engines.recipe.blocks import GenerationBlock, ModelBlock, SamplingBlock

PROMPTS = ["Tom has 12 apples", "?", "He has 12 + 30"]
GREEDY = SamplingBlock(max_new_tokens=8)
SAMPLED = SamplingBlock(temperature=1.0, max_new_tokens=8, num_samples=2)
CPU = torch.device("cpu")


@pytest.fixture
def opened(tiny_model, make_run):
    """Opens a cached generator on the tiny model; all of them share one directory."""
    made = []

    def open_again(base=tiny_model, **fields):
        run = make_run(f"run{len(made)}")
        run.cache = run.dir.parent / "cache"
        block = ModelBlock(base=str(base), **fields)
        made.append(
            open_generator(
                block, GenerationBlock(batch_size=2), run, tokenizer=load_tokenizer(block, run), device=CPU
            )
        )
        return made[-1]

    return open_again


def asked(generator):
    """Counts the requests that reach the back end."""
    seen = []
    stream = generator.inner.stream

    def watched(requests, *rest):
        seen.extend(requests)
        return stream(requests, *rest)

    generator.inner.stream = watched
    return seen


def test_what_one_run_has_generated_the_next_takes_from_the_cache(opened):
    first, second = opened(), opened()
    requests = requests_for(PROMPTS, 2)
    made = complete(first, requests, SAMPLED, [], 7)
    generated = asked(second)
    assert complete(second, requests, SAMPLED, [], 7) == made
    assert generated == [] and second.found == 6


def test_only_what_is_missing_is_generated(opened):
    complete(opened(), requests_for(PROMPTS[:2], 1), SAMPLED, [], 7)
    second = opened()
    generated = asked(second)
    many = complete(second, requests_for(PROMPTS, 2), SAMPLED, [], 7)
    assert set(generated) == {Request(PROMPTS[0], 1), Request(PROMPTS[1], 1), *requests_for(PROMPTS[2:], 2)}
    assert many == complete(opened().inner, requests_for(PROMPTS, 2), SAMPLED, [], 7)


@pytest.mark.parametrize(
    ("sampling", "stop", "seed"),
    [
        (SAMPLED, [], 8),
        (SAMPLED, ["x"], 7),
        (SAMPLED.model_copy(update={"top_k": 5}), [], 7),
        (SAMPLED.model_copy(update={"max_new_tokens": 9}), [], 7),
        (GREEDY, [], 7),
    ],
)
def test_other_sampling_stop_strings_or_seeds_are_other_completions(opened, sampling, stop, seed):
    complete(opened(), requests_for(PROMPTS, 1), SAMPLED, [], 7)
    second = opened()
    generated = asked(second)
    complete(second, requests_for(PROMPTS, 1), sampling, stop, seed)
    assert len(generated) == 3


def test_greedy_completions_do_not_depend_on_the_seed(opened):
    complete(opened(), requests_for(PROMPTS, 1), GREEDY, [], 1)
    second = opened()
    generated = asked(second)
    complete(second, requests_for(PROMPTS, 1), GREEDY, [], 2)
    assert generated == []


def test_changed_weights_in_the_same_directory_are_another_model(opened, tiny_model, tmp_path):
    from safetensors.torch import load_file, save_file

    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    complete(opened(copy), requests_for(PROMPTS, 1), GREEDY, [], 0)
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"][3] += 1.0
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    second = opened(copy)
    generated = asked(second)
    complete(second, requests_for(PROMPTS, 1), GREEDY, [], 0)
    assert len(generated) == 3


def test_an_adapter_another_dtype_or_another_end_token_are_other_weights(tiny_model, make_run, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(target_modules="all-linear")
    )
    adapted.save_pretrained(tmp_path / "adapter")
    run = make_run()
    plain, bf16 = ModelBlock(base=str(tiny_model)), ModelBlock(base=str(tiny_model), dtype="bfloat16")
    tokenizer = load_tokenizer(plain, run)
    identities = [weights_identity(plain, run, tokenizer), weights_identity(bf16, run, tokenizer)]
    tokenizer.save_pretrained(tmp_path / "adapter")
    identities.append(weights_identity(ModelBlock(base=str(tmp_path / "adapter")), run, tokenizer))
    tokenizer.eos_token = "<|endoftext|>"
    identities.append(weights_identity(plain, run, tokenizer))
    keys = {set_key(json.dumps(identity), GREEDY, [], 0) for identity in identities}
    assert len(keys) == 4


def changed_norm(directory):
    rewrite(directory / "config.json", lambda fields: fields.update(rms_norm_eps=0.5))


def changed_ends(directory):
    rewrite(directory / "generation_config.json", lambda fields: fields.update(eos_token_id=[2, 7]))


def changed_layers(directory):
    rewrite(directory / "config.json", lambda fields: fields.update(layer_types=["b", "a"]))


def changed_scale(directory):
    rewrite(directory / "adapter_config.json", lambda fields: fields.update(lora_alpha=64))


def changed_merges(directory):
    rewrite(directory / "tokenizer.json", lambda fields: fields["model"]["merges"].reverse())


def rewrite(path, change):
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


@pytest.mark.parametrize(
    "change",
    [changed_norm, changed_ends, changed_layers, changed_scale, changed_merges],
    ids=lambda f: f.__name__,
)
def test_another_config_or_tokenizer_beside_the_same_weights_is_another_model(
    tiny_model, make_run, tmp_path, change
):
    copy, adapter, run = tmp_path / "copy", tmp_path / "adapter", make_run()
    shutil.copytree(tiny_model, copy)
    rewrite(copy / "config.json", lambda fields: fields.update(layer_types=["a", "b"]))
    shutil.copytree(copy, adapter)
    (adapter / "config.json").unlink()
    shutil.copy(tiny_model / "model.safetensors", adapter / "adapter_model.safetensors")
    recorded = {"base_model_name_or_path": str(copy), "lora_alpha": 8, "target_modules": ["q_proj", "k_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(recorded))
    where = {"changed_scale": adapter, "changed_merges": adapter}.get(change.__name__, copy)
    block = ModelBlock(base=str(adapter))
    before = weights_identity(block, run, AutoTokenizer.from_pretrained(adapter))
    # How a config was written down is no part of what it says.
    rewrite(
        adapter / "adapter_config.json", lambda fields: fields.update(target_modules=["k_proj", "q_proj"])
    )
    assert weights_identity(block, run, AutoTokenizer.from_pretrained(adapter)) == before
    change(where)
    assert weights_identity(block, run, AutoTokenizer.from_pretrained(adapter)) != before


def test_a_copied_directory_is_the_same_weights(tiny_model, make_run, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "copy")
    run = make_run()
    here, there = ModelBlock(base=str(tiny_model)), ModelBlock(base=str(tmp_path / "copy"))
    tokenizer = load_tokenizer(here, run)
    assert weights_identity(here, run, tokenizer) == weights_identity(there, run, tokenizer)


def test_equal_requests_are_generated_once(opened):
    generator = opened()
    generated = asked(generator)
    first, second = complete(generator, [Request("Tom"), Request("Tom")], GREEDY, [], 0)
    assert first == second and len(generated) == 1


def test_a_batch_that_was_done_survives_a_kill_and_a_torn_line_is_passed_over(opened, tmp_path):
    generator = opened()
    for number, _ in enumerate(generator.stream(requests_for(PROMPTS, 2), SAMPLED, [], 7)):
        if number == 1:
            break  # two batches of two are done
    [file] = [path for path in (tmp_path / "cache" / "completions").glob("*.jsonl") if path.stem != "lengths"]
    with file.open("ab") as end:
        end.write(b'{"key": "half a li')
    second = opened()
    generated = asked(second)
    complete(second, requests_for(PROMPTS, 2), SAMPLED, [], 7)
    assert len(generated) == 2
    third = opened()
    generated = asked(third)
    complete(third, requests_for(PROMPTS, 2), SAMPLED, [], 7)
    assert generated == []


def test_many_writers_of_one_file_lose_nothing(tmp_path):
    """Eight processes that append at once; every line must come out whole."""
    source = (
        "import sys; from pathlib import Path\n"
        "from engines.generation.cache import append_completions\n"
        "from engines.generation.completion import Completion\n"
        "for n in range(50):\n"
        "    done = {f'{sys.argv[2]}-{n}-{i}': Completion('x' * 300, [1] * 50, True, 'stop') for i in range(8)}\n"
        "    append_completions(Path(sys.argv[1]), done)\n"
    )
    path = tmp_path / "set.jsonl"
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    writers = [
        subprocess.Popen([sys.executable, "-c", source, str(path), str(writer)], env=environment)
        for writer in range(4)
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    wanted = {f"{writer}-{n}-{i}" for writer in range(4) for n in range(50) for i in range(8)}
    assert set(read_completions(path, wanted)) == wanted


def test_lengths_are_remembered_over_runs_and_a_torn_line_does_no_harm(tmp_path):
    first = LengthHistory(tmp_path)
    first.record([("a", 10), ("a", 20), ("b", 4)])
    with (tmp_path / "lengths.jsonl").open("ab") as file:
        file.write(b'{"half')
    second = LengthHistory(tmp_path)
    assert second.expected("a") == 15 and second.expected("b") == 4 and second.expected("c") is None
    second.record([("c", 6)])
    assert LengthHistory(tmp_path).expected("c") == 6


def test_a_completion_comes_back_as_it_was(tmp_path):
    odd = Completion('tab\t\u2028 \U0001f600 "quote"', [0, 5, 2**20], False, "length")
    append_completions(tmp_path / "set.jsonl", {"k": odd})
    assert read_completions(tmp_path / "set.jsonl", {"k"}) == {"k": odd}


def test_without_the_cache_nothing_is_kept(tiny_model, make_run):
    run = make_run()
    block = ModelBlock(base=str(tiny_model))
    generator = open_generator(
        block, GenerationBlock(cache=False), run, tokenizer=load_tokenizer(block, run), device=CPU
    )
    assert not isinstance(generator, CachedGenerator)
    complete(generator, requests_for(PROMPTS, 1), GREEDY, [], 0)
    assert not list((run.dir / "cache").rglob("*.jsonl"))


def test_a_full_disk_costs_the_cache_and_not_the_run(opened, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    generator = opened()
    monkeypatch.setattr(os, "write", full)
    completions = complete(generator, requests_for(PROMPTS, 1), GREEDY, [], 0)
    monkeypatch.undo()
    assert len(completions) == 3 and "No space left" in caplog.text


def test_a_cache_that_cannot_be_made_or_read_costs_the_cache_and_not_the_run(
    opened, tmp_path, monkeypatch, caplog
):
    (tmp_path / "cache").write_text("a file where the directory should be")
    assert len(complete(opened(), requests_for(PROMPTS, 1), GREEDY, [], 0)) == 3
    assert "completions are not kept" in caplog.text
    (tmp_path / "cache").unlink()
    expected = complete(opened(), requests_for(PROMPTS, 1), GREEDY, [], 0)

    def another_users(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        generator = opened()
        patched.setattr(Path, "open", another_users)
        again = complete(generator, requests_for(PROMPTS, 1), GREEDY, [], 0)
    assert again == expected and "Permission denied" in caplog.text


def test_lines_of_another_format_are_passed_over(opened, tmp_path):
    expected = complete(opened(), requests_for(PROMPTS, 1), GREEDY, [], 0)
    [file] = [path for path in (tmp_path / "cache/completions").iterdir() if path.name != "lengths.jsonl"]
    lines = [json.loads(line) | {"logprob": -1.0} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "cache/completions/lengths.jsonl").write_text('{"aaa": 7}\n')
    assert complete(opened(), requests_for(PROMPTS, 1), GREEDY, [], 0) == expected
