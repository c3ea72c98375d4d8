from dataclasses import replace

import pytest
import torch

from engines.jepa.collate import collate
from engines.jepa.layout import may_attend, pack, plain
from engines.jepa.proof import Proof, check, prove_language, prove_mask
from engines.jepa.reach import reachable, sees
from engines.jepa.refusals import check_masks_are_kept
from engines.recipe.errors import RecipeError

FAMILIES = ["llama", "qwen2", "qwen3", "gemma2", "mistral"]
LFM2 = {"layer_types": ["conv", "full_attention"]}
QWEN3_NEXT = {
    "layer_types": ["linear_attention", "full_attention"],
    **{"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16},
    **{"shared_expert_intermediate_size": 16, "linear_num_value_heads": 4, "linear_num_key_heads": 2},
    **{"linear_key_head_dim": 8, "linear_value_head_dim": 8},
}
MIXTURE = {
    **{"num_experts": 4, "num_experts_per_tok": 2},
    **{"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("target", ["isolated", "bos", "question"])
def test_the_parts_of_a_row_are_kept_apart(make_model, stepped_rows_by_hand, family, attention, target):
    model = make_model(family, attention)
    rows = [pack(row, predictors=2, target=target) for row in stepped_rows_by_hand]
    proof = prove_mask(model, rows, pad_token=0)
    assert proof.leak == 0 and proof.control > 0.1 and proof.sensitivity > 1e-3
    assert proof.equivalence < 1e-5 and proof.language < 1e-5
    assert proof.rows == 3 and proof.watched >= 10


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_in_bfloat16_nothing_leaks_either(make_model, stepped_rows_by_hand, family):
    model = make_model(family)
    model.lm.to(torch.bfloat16)
    proof = prove_mask(model, [pack(row, predictors=2) for row in stepped_rows_by_hand], pad_token=0)
    assert proof.leak == 0


def test_a_mixture_of_experts_may_round_and_learned_positions_are_told(make_model, stepped_rows_by_hand):
    rows = [pack(row, predictors=2) for row in stepped_rows_by_hand]
    assert prove_mask(make_model("qwen2_moe", **MIXTURE), rows, pad_token=0).leak <= 1e-6
    assert prove_mask(make_model("gpt2", n_embd=32, n_layer=2, n_head=4), rows, pad_token=0).leak == 0


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_flex_attention_keeps_them_apart(make_model, stepped_rows_by_hand, family):
    rows = [pack(row, predictors=2) for row in stepped_rows_by_hand]
    model = make_model(family, "flex_attention")
    assert prove_mask(model, rows, pad_token=0, multiple_of=128).leak == 0


@pytest.mark.parametrize(("family", "options"), [("lfm2", LFM2), ("qwen3_next", QWEN3_NEXT)])
def test_models_whose_layers_ignore_masks_are_refused_and_fail_the_proof(
    make_model, stepped_rows_by_hand, family, options
):
    model = make_model(family, **options)
    with pytest.raises(RecipeError, match="ignore attention masks"):
        check_masks_are_kept(model.config)
    with pytest.raises(RecipeError, match="must not see"):
        prove_mask(model, [pack(row, predictors=2) for row in stepped_rows_by_hand], pad_token=0)


def _rule(**changes):
    """The rule of `masks.visible` with a mistake in it."""

    def visible(group, reach, b, query, key):
        query_group, key_group = group[b, query], group[b, key]
        seen_of_original = reach[b, query] + changes.get("further", 0)
        original = (key_group == 0) & (key < seen_of_original)
        own_block = (key_group == query_group) & (key_group > 0)
        if changes.get("any_group"):
            own_block = (key_group > 0) & (query_group > 0)
        if not changes.get("both_ways"):
            own_block = own_block & (key <= query)
        return original | own_block | (query == key)

    return visible


def test_the_rule_without_a_mistake_passes(make_model, stepped_rows_by_hand, monkeypatch):
    monkeypatch.setattr("engines.jepa.masks.visible", _rule())
    rows = [pack(row, predictors=2) for row in stepped_rows_by_hand]
    assert prove_mask(make_model("llama"), rows, pad_token=0).as_json()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("target", ["isolated", "question"])
@pytest.mark.parametrize(
    "mistake",
    [{"further": 1}, {"further": -1}, {"further": 1000}, {"any_group": True}, {"both_ways": True}],
    ids=str,
)
def test_every_mistake_in_the_mask_is_found_out(
    make_model, stepped_rows_by_hand, monkeypatch, mistake, target, attention
):
    rows = [pack(row, predictors=2, target=target) for row in stepped_rows_by_hand]
    monkeypatch.setattr("engines.jepa.masks.visible", _rule(**mistake))
    with pytest.raises(RecipeError, match="does not keep the parts"):
        prove_mask(make_model("llama", attention), rows, pad_token=0)


def test_a_boolean_mask_for_eager_is_found_out(make_model, stepped_rows_by_hand, monkeypatch):
    from engines.jepa.masks import attention_mask

    monkeypatch.setattr(
        "engines.jepa.model.attention_mask",
        lambda batch, config, dtype: attention_mask(batch, config, dtype) == 0,
    )
    with pytest.raises(RecipeError, match="must not see"):
        prove_mask(make_model("llama", "eager"), [pack(stepped_rows_by_hand[0], predictors=2)], pad_token=0)


@pytest.mark.parametrize("family", ["mistral", "gemma2"])
def test_a_dropped_window_is_found_out(make_model, stepped_rows_by_hand, monkeypatch, family):
    from engines.jepa.masks import _one

    monkeypatch.setattr("engines.jepa.masks._one", lambda *args: _one(*args[:3], None))
    with pytest.raises(RecipeError, match="ordinary training"):
        prove_mask(make_model(family), [pack(row, predictors=2) for row in stepped_rows_by_hand], pad_token=0)


def test_positions_that_the_model_is_not_told_are_found_out(make_model, stepped_rows_by_hand, monkeypatch):
    model = make_model("qwen3")
    whole = model.transformer.forward

    def without_positions(**inputs):
        return whole(**{**inputs, "position_ids": None})

    monkeypatch.setattr(model.transformer, "forward", without_positions)
    with pytest.raises(RecipeError, match="separate forward passes"):
        prove_mask(model, [pack(row, predictors=2) for row in stepped_rows_by_hand], pad_token=0)


@pytest.mark.parametrize("family", ["llama", "gemma2"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_in_mixed_precision_nothing_leaks_and_leaks_are_found_out(
    make_model, stepped_rows_by_hand, monkeypatch, family, attention
):
    model = make_model(family, attention)
    rows = [pack(row, predictors=2) for row in stepped_rows_by_hand]
    mixed = prove_mask(model, rows, pad_token=0, bf16=True)
    assert mixed.leak == 0 and mixed.sensitivity != prove_mask(model, rows, pad_token=0).sensitivity
    monkeypatch.setattr("engines.jepa.masks.visible", _rule(further=1))
    with pytest.raises(RecipeError, match="must not see"):
        prove_mask(model, rows, pad_token=0, bf16=True)


def test_logits_that_a_model_scales_are_scaled_or_it_is_refused(make_model, stepped_rows_by_hand):
    rows = [plain(row) for row in stepped_rows_by_hand]
    granite = make_model("granite", logits_scaling=8.0)
    assert prove_language(granite, rows, pad_token=0) < 1e-5
    for bf16 in (False, True):
        with pytest.raises(RecipeError, match="logits differ from the model's own"):
            prove_language(make_model("cohere", logit_scale=0.25), rows, pad_token=0, bf16=bf16)


def test_flash_attention_is_refused_by_name(make_lm):
    config = make_lm("llama").config
    config._attn_implementation_internal = "flash_attention_2"
    with pytest.raises(RecipeError, match="takes no mask"):
        check_masks_are_kept(config)


def test_a_mask_in_the_form_of_another_kernel_is_found_out(make_model, stepped_rows_by_hand):
    """What happens when the kernel is switched behind the config's back: a boolean mask is a small number to eager."""
    model = make_model("llama", "eager")
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.llama.modeling_llama import eager_attention_forward

    rows = [pack(row, predictors=2) for row in stepped_rows_by_hand]
    model.config._attn_implementation_internal = "sdpa"
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is sdpa_attention_forward
    ALL_ATTENTION_FUNCTIONS["sdpa"] = eager_attention_forward
    try:
        with pytest.raises(RecipeError, match="must not see"):
            prove_mask(model, rows, pad_token=0)
    finally:
        del ALL_ATTENTION_FUNCTIONS["sdpa"]
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is sdpa_attention_forward
    assert prove_mask(model, rows, pad_token=0).leak == 0


def test_a_kernel_for_training_gives_way_to_the_models_own(make_model, stepped_rows_by_hand):
    model = make_model("gemma2", "sdpa")
    rows = [pack(row, predictors=2) for row in stepped_rows_by_hand]
    with pytest.raises(KeyError), model.attention("eager"):
        assert prove_mask(model, rows, pad_token=0).attention == "eager"
        raise KeyError
    assert prove_mask(model, rows, pad_token=0).attention == "sdpa"


GOOD = Proof("sdpa", 1, 1, leak=0.0, control=1.0, sensitivity=1.0, equivalence=1e-7, language=1e-7)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ({"leak": 1e-9}, "must not see"),
        ({"control": 1e-3}, "cannot tell"),
        ({"sensitivity": 0.0}, "made from"),
        ({"equivalence": 1e-4}, "separate forward passes"),
        ({"language": 1e-4}, "ordinary training"),
        ({"leak": float("nan")}, "not numbers"),
    ],
)
def test_each_number_is_checked(number, text):
    check(GOOD, experts=False, dtype=torch.float32)
    with pytest.raises(RecipeError, match=text):
        check(replace(GOOD, **number), experts=False, dtype=torch.float32)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", FAMILIES)
def test_states_in_a_padded_batch_are_those_of_each_row_alone(make_model, stepped_rows_by_hand, family, side):
    model = make_model(family)
    rows = [pack(row, predictors=2) for row in stepped_rows_by_hand]
    with torch.no_grad():
        together = model.encode(collate(rows, pad_token=0, padding_side=side))
        for index, row in enumerate(rows):
            count = len(row.input_ids)
            alone = model.encode(collate([row], pad_token=0))[0]
            here = together[index, -count:] if side == "left" else together[index, :count]
            assert (here - alone).abs().max() / alone.abs().max() < 1e-5


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_gradients_reach_exactly_what_is_reachable(make_model, stepped_rows_by_hand, family):
    model = make_model(family, sliding_window=64) if family == "gemma2" else make_model(family)
    row = pack(stepped_rows_by_hand[1], predictors=2)
    batch = collate([row], pad_token=0)
    embeddings = model.embed(batch).detach().requires_grad_(True)
    states = model.encode(batch, embeddings)
    draw = torch.Generator().manual_seed(1)
    reached = reachable(row, range(len(row.input_ids)))
    for query in range(len(row.input_ids)):
        weights = torch.randn(states.shape[-1], generator=draw)
        [gradient] = torch.autograd.grad((states[0, query] * weights).sum(), embeddings, retain_graph=True)
        assert torch.equal(gradient[0].abs().sum(dim=-1) > 0, reached[query])


@pytest.mark.parametrize("target", ["isolated", "bos", "question", "contextual"])
def test_who_sees_whom_is_the_rule_of_the_layout(stepped_rows_by_hand, target):
    for row in stepped_rows_by_hand:
        packed = pack(row, predictors=2, target=target)
        everyone = range(len(packed.input_ids))
        by_rule = [
            [may_attend(packed.group[q], q, packed.reach[q], packed.group[k], k) for k in everyone]
            for q in everyone
        ]
        assert sees(packed).tolist() == by_rule


def test_logits_of_plain_and_packed_rows_agree(make_model, stepped_rows_by_hand):
    for family in FAMILIES:
        model = make_model(family)
        with torch.no_grad():
            packed = model(collate([pack(row, predictors=2) for row in stepped_rows_by_hand], pad_token=0))
            ordinary = model(collate([plain(row) for row in stepped_rows_by_hand], pad_token=0))
        assert torch.equal(packed["labels"], ordinary["labels"])
        assert torch.allclose(packed["logits"], ordinary["logits"], atol=2e-5)
