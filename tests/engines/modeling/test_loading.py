import json
import shutil

import pytest
import torch
from transformers import AutoTokenizer

from engines.generation.generator import complete, requests_for
from engines.generation.hf import HfGenerator
from engines.modeling.loading import choose_device, lineage, load_model, load_tokenizer, save_model
from engines.modeling.sources import read_lineage, weights_hash
from engines.recipe.blocks import LoraBlock, ModelBlock, SamplingBlock
from engines.recipe.errors import RecipeError

CPU = torch.device("cpu")
LORA = LoraBlock(r=4, lora_alpha=8)
PROMPTS = ["Tom has 12 apples", "He has"]
GREEDY = SamplingBlock(max_new_tokens=12)


def load(block, run, **options):
    tokenizer = load_tokenizer(block, run)
    return load_model(block, run, tokenizer=tokenizer, device=CPU, **options), tokenizer


def text(model, tokenizer):
    completions = complete(HfGenerator(model, tokenizer), requests_for(PROMPTS, 1), GREEDY, [], seed=0)
    return [completion.text for completion in completions]


def trainable(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def nudge(model):
    """A stand-in for training: move every trainable weight a little."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.add_(torch.randn_like(parameter) * 0.1)


@pytest.fixture
def base(tiny_model):
    return ModelBlock(base=str(tiny_model))


@pytest.fixture
def after_prep(base, make_run):
    """A run whose input `prep` is an adapter on the tiny model."""
    prep = make_run("prep")
    model, tokenizer = load(base, prep, trainable=True, lora=LORA)
    nudge(model)
    save_model(model, tokenizer, prep.model, lineage(base, prep, lora=LORA, chain="continue"))
    return make_run("full", inputs={"prep": prep.dir})


FROM_PREP = ModelBlock(**{"from": "prep"})


def test_a_base_model_loads_for_generation_with_its_tokenizer(base, make_run):
    model, tokenizer = load(base, make_run())
    assert not model.training and tokenizer.padding_side == "left"
    assert tokenizer.pad_token_id not in model.generation_config.eos_token_id
    assert model.dtype == torch.float32


def test_the_dtype_is_the_recipes(tiny_model, make_run):
    model, _ = load(ModelBlock(base=str(tiny_model), dtype="bfloat16"), make_run())
    assert model.dtype == torch.bfloat16


def test_adapters_are_float32_on_a_bfloat16_base(tiny_model, make_run):
    model, _ = load(ModelBlock(base=str(tiny_model), dtype="bfloat16"), make_run(), trainable=True, lora=LORA)
    assert {parameter.dtype for parameter in trainable(model)} == {torch.float32}


def test_without_lora_every_weight_is_trainable(base, make_run):
    model, _ = load(base, make_run(), trainable=True)
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())


def test_a_continued_adapter_is_trainable_and_starts_where_its_parent_ended(after_prep):
    model, tokenizer = load(FROM_PREP, after_prep, trainable=True, lora=LORA)
    assert trainable(model) and all(
        "lora_" in name for name, p in model.named_parameters() if p.requires_grad
    )
    generating, _ = load(FROM_PREP, after_prep)
    assert text(model, tokenizer) == text(generating, tokenizer)


def test_an_adapter_changes_what_is_generated(base, after_prep):
    assert text(*load(FROM_PREP, after_prep)) != text(*load(base, after_prep))


def test_merging_keeps_the_outputs_and_starts_a_fresh_adapter(after_prep):
    other = LoraBlock(r=2, lora_alpha=2)
    model, tokenizer = load(FROM_PREP, after_prep, trainable=True, lora=other, chain="merge")
    assert model.peft_config["default"].r == 2
    assert text(model, tokenizer) == text(*load(FROM_PREP, after_prep))


def test_a_second_merging_attempt_meets_the_same_base(after_prep):
    load(FROM_PREP, after_prep, trainable=True, lora=LORA, chain="merge")
    first = weights_hash(after_prep.model / "base")
    load(FROM_PREP, after_prep, trainable=True, lora=LORA, chain="merge")
    assert first is not None and weights_hash(after_prep.model / "base") == first


@pytest.mark.parametrize("chain", ["continue", "merge"])
def test_a_chained_model_loads_again_and_after_its_directory_moved(after_prep, make_run, tmp_path, chain):
    model, tokenizer = load(FROM_PREP, after_prep, trainable=True, lora=LORA, chain=chain)
    nudge(model)
    expected = text(model, tokenizer)
    save_model(model, tokenizer, after_prep.model, lineage(FROM_PREP, after_prep, lora=LORA, chain=chain))
    shutil.move(after_prep.dir, tmp_path / "elsewhere")
    again = make_run("eval", inputs={"full": tmp_path / "elsewhere"})
    assert text(*load(ModelBlock(**{"from": "full"}), again)) == expected


def test_lineage_names_every_parent_with_its_weights_and_the_way_of_chaining(base, after_prep, tiny_model):
    prep = after_prep.inputs["prep"] / "model"
    first = {"parent": str(tiny_model), "sha256": weights_hash(tiny_model), "mode": "base"}
    assert read_lineage(prep) == [first]
    parent = {"parent": str(prep), "sha256": weights_hash(prep)}
    continued = lineage(FROM_PREP, after_prep, lora=LORA, chain="continue")
    assert continued == [first, {**parent, "mode": "continue"}]
    load(FROM_PREP, after_prep, trainable=True, lora=LORA, chain="merge")
    merged = lineage(FROM_PREP, after_prep, lora=LORA, chain="merge")
    assert merged[:2] == [first, {**parent, "mode": "merge"}]
    assert merged[2] == {"parent": "base", "sha256": weights_hash(after_prep.model / "base"), "mode": "base"}
    assert lineage(base, after_prep, lora=None, chain="continue") == [{**first, "mode": "full"}]


def test_continuing_with_another_shape_is_refused(after_prep):
    with pytest.raises(RecipeError, match=r"lora: r: 16 \(adapter: 4\)"):
        load(FROM_PREP, after_prep, trainable=True, lora=LoraBlock(r=16, lora_alpha=8))


def test_continuing_an_adapter_on_some_layers_as_one_on_all_is_refused(base, make_run):
    prep = make_run("prep")
    some = LoraBlock(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    model, tokenizer = load(base, prep, trainable=True, lora=some)
    save_model(model, tokenizer, prep.model, lineage(base, prep, lora=some, chain="continue"))
    full = make_run("full", inputs={"prep": prep.dir})
    load(FROM_PREP, full, trainable=True, lora=some)
    with pytest.raises(RecipeError, match=r"lora\.target_modules: .*leaves out 15 linear layers"):
        load(FROM_PREP, full, trainable=True, lora=LORA)


def test_training_all_weights_on_an_adapter_needs_merge(after_prep):
    with pytest.raises(RecipeError, match=r"hint: use `chain: merge`"):
        load(FROM_PREP, after_prep, trainable=True)
    model, tokenizer = load(FROM_PREP, after_prep, trainable=True, chain="merge")
    assert not hasattr(model, "peft_config") and all(p.requires_grad for p in model.parameters())
    assert text(model, tokenizer) == text(*load(FROM_PREP, after_prep))


def test_an_adapter_from_elsewhere_finds_its_base_by_its_own_config(after_prep):
    prep = after_prep.inputs["prep"] / "model"
    expected = text(*load(FROM_PREP, after_prep))
    (prep / "lineage.json").unlink()
    assert text(*load(ModelBlock(base=str(prep)), after_prep)) == expected


def test_unknown_target_modules_are_an_error_with_a_hint(base, make_run):
    with pytest.raises(RecipeError, match=r"lora\.target_modules: .*absent"):
        load(base, make_run(), trainable=True, lora=LoraBlock(target_modules=["absent"]))


@pytest.mark.parametrize("name", ["./absent", "/absent/model", "a/b/c"])
def test_a_missing_directory_is_an_error_with_a_hint(name, make_run):
    with pytest.raises(RecipeError, match=r"model\.base: there is no directory .*\nhint: "):
        load_tokenizer(ModelBlock(base=name), make_run())


def test_a_model_that_the_hub_does_not_give_is_an_error_with_a_hint(make_run, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(RecipeError, match=r"model `nobody/nothing` cannot be loaded.*\nhint: "):
        load_tokenizer(ModelBlock(base="nobody/nothing"), make_run())


def test_a_directory_without_a_model_is_an_error_with_a_hint(make_run, tmp_path):
    with pytest.raises(RecipeError, match="cannot be loaded"):
        load_tokenizer(ModelBlock(base=str(tmp_path)), make_run())


def test_cut_short_weights_are_an_error_with_a_hint(tiny_model, make_run, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    (broken / "model.safetensors").write_bytes((tiny_model / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(RecipeError, match="cannot be loaded"):
        load(ModelBlock(base=str(broken)), make_run())


def test_weights_of_another_shape_than_the_config_says_are_an_error_with_a_hint(
    tiny_model, make_run, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "intermediate_size": 32}))
    with pytest.raises(RecipeError, match="cannot be loaded"):
        load(ModelBlock(base=str(other)), make_run())


def change_config(adapter, **fields):
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda adapter: (adapter / "adapter_model.safetensors").unlink(),
        lambda adapter: (adapter / "adapter_model.safetensors").write_bytes(b"short"),
        lambda adapter: (adapter / "adapter_config.json").write_text("{"),
        lambda adapter: change_config(adapter, target_modules=["absent"]),
    ],
    ids=["no weights", "weights cut short", "config cut short", "made for another model"],
)
def test_a_broken_adapter_is_an_error_with_a_hint(after_prep, spoil, trained):
    spoil(after_prep.inputs["prep"] / "model")
    with pytest.raises(RecipeError, match=r"\nhint: "):
        load(FROM_PREP, after_prep, **({"trainable": True, "lora": LORA} if trained else {}))


def test_an_adapter_of_another_rank_than_its_config_says_or_of_no_model_is_an_error(after_prep):
    prep = after_prep.inputs["prep"] / "model"
    change_config(prep, r=2)
    with pytest.raises(RecipeError, match=r"the adapter in .*/prep/model cannot be loaded: .*size mismatch"):
        load(FROM_PREP, after_prep)
    (prep / "lineage.json").unlink()
    change_config(prep, base_model_name_or_path=None)
    with pytest.raises(RecipeError, match="does not say which model it belongs to"):
        load(FROM_PREP, after_prep)


@pytest.mark.parametrize("template", ["{% for m in", "{{ raise_exception('no answers here') }}"])
def test_a_chat_template_that_cannot_be_rendered_is_an_error_with_a_hint(
    tiny_model, make_run, tmp_path, template
):
    file = tmp_path / "broken.jinja"
    file.write_text(template)
    with pytest.raises(RecipeError, match=r"the chat template does not render .*\nhint: "):
        load_tokenizer(ModelBlock(base=str(tiny_model), chat_template=str(file)), make_run())


def test_a_job_that_is_no_input_or_left_no_model_is_an_error(make_run, tmp_path):
    with pytest.raises(RecipeError, match="`prep` is not an input of this job"):
        load_tokenizer(FROM_PREP, make_run())
    with pytest.raises(RecipeError, match="left no model"):
        load_tokenizer(FROM_PREP, make_run(inputs={"prep": tmp_path}))


def test_a_model_whose_pad_is_an_end_token_gets_another_one_and_keeps_it_when_saved(
    tiny_model, make_run, tmp_path
):
    bad = tmp_path / "bad"
    shutil.copytree(tiny_model, bad)
    config = json.loads((bad / "generation_config.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(bad, unk_token="<|endoftext|>")
    tokenizer.save_pretrained(bad)
    (bad / "generation_config.json").write_text(
        json.dumps({**config, "eos_token_id": [tokenizer.eos_token_id, tokenizer.pad_token_id]})
    )
    run = make_run()
    model, tokenizer = load(ModelBlock(base=str(bad)), run, trainable=True)
    assert tokenizer.pad_token_id not in model.generation_config.eos_token_id
    save_model(model, tokenizer, run.model, [])
    saved = json.loads((run.model / "generation_config.json").read_text())
    assert saved["pad_token_id"] not in saved["eos_token_id"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_asking_for_an_absent_gpu_is_an_error_with_a_hint():
    assert choose_device("auto") == choose_device("cpu") == CPU
    with pytest.raises(RecipeError, match="sees no GPU"):
        choose_device("cuda")


def test_a_base_model_that_ends_text_and_turns_differently_stops_on_both(tiny_model, make_run, tmp_path):
    """As Qwen2.5 ships: EOS and pad are `<|endoftext|>`, and the chat template ends turns with `<|im_end|>`."""
    qwen = tmp_path / "qwen"
    shutil.copytree(tiny_model, qwen)
    AutoTokenizer.from_pretrained(qwen, eos_token="<|endoftext|>", pad_token="<|endoftext|>").save_pretrained(
        qwen
    )
    config = json.loads((qwen / "generation_config.json").read_text())
    (qwen / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": 0, "pad_token_id": 0}))
    model, tokenizer = load(ModelBlock(base=str(qwen)), make_run())
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.pad_token == "<|pad|>"
    ends = {tokenizer.convert_tokens_to_ids(name) for name in ("<|im_end|>", "<|endoftext|>")}
    assert set(model.generation_config.eos_token_id) == ends
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id


def test_models_that_build_on_each_other_load_wherever_all_of_their_runs_have_moved(
    after_prep, make_run, tmp_path
):
    """Fresh adapters on merged weights or on another job's full weights, trained further, in runs side by side."""
    home = tmp_path / "home"
    (home / "1").mkdir(parents=True)
    shutil.copytree(after_prep.inputs["prep"], home / "1", dirs_exist_ok=True)
    steps = [
        ("2", "1", LORA, "merge"),
        ("3", "2", LORA, "continue"),
        ("4", "1", None, "merge"),
        ("5", "4", LORA, "continue"),
        ("6", "5", LORA, "continue"),
    ]
    expected = {}
    for name, parent, lora, chain in steps:
        run = make_run(f"home/{name}", inputs={"parent": home / parent})
        block = ModelBlock(**{"from": "parent"})
        model, tokenizer = load(block, run, trainable=True, lora=lora, chain=chain)
        nudge(model)
        expected[name] = text(model, tokenizer)
        save_model(model, tokenizer, run.model, lineage(block, run, lora=lora, chain=chain))
    shutil.move(home, tmp_path / "elsewhere")
    for name, outputs in expected.items():
        again = make_run("eval", inputs={"model": tmp_path / "elsewhere" / name})
        assert text(*load(ModelBlock(**{"from": "model"}), again)) == outputs


def test_an_adapter_finds_the_weights_of_another_run_after_it_alone_has_moved(after_prep, make_run, tmp_path):
    load(FROM_PREP, after_prep, trainable=True, lora=LORA, chain="merge")
    model, tokenizer = load(FROM_PREP, after_prep, trainable=True, lora=LORA, chain="merge")
    save_model(model, tokenizer, after_prep.model, lineage(FROM_PREP, after_prep, lora=LORA, chain="merge"))
    further = make_run("deep/er/further", inputs={"full": after_prep.dir})
    block = ModelBlock(**{"from": "full"})
    model, tokenizer = load(block, further, trainable=True, lora=LORA)
    save_model(model, tokenizer, further.model, lineage(block, further, lora=LORA, chain="continue"))
    shutil.move(further.dir, tmp_path / "alone")
    load(ModelBlock(**{"from": "model"}), make_run("eval", inputs={"model": tmp_path / "alone"}))
