import copy

import pytest
import torch
from transformers import DynamicCache

from engines.recipe.errors import RecipeError
from engines.steer import hooks
from engines.steer.directions import directions
from engines.steer.hooks import hooked, steered
from engines.steer.sites import find_decoder

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gpt2", "gptj", "falcon")
TUPLES = ("gptj", "falcon")
IDS = torch.tensor([[3, 3, 40, 50, 60], [10, 20, 30, 41, 51], [3, 70, 71, 72, 73]])
MASK = IDS.ne(3).long()
POSITIONS = (MASK.cumsum(-1) - 1).clamp(min=0)


def outputs_of(model, layer):
    """A list that fills with what a block hands on, after all hooks that are registered before."""
    seen = []

    def hook(_module, _args, output):
        seen.append((output[0] if isinstance(output, tuple) else output).detach().clone())

    return seen, find_decoder(model).blocks[layer].register_forward_hook(hook)


def shifts(model, rows, layer, run, copies=1):
    """What steering adds to a block's output, one tensor (rows, columns, size) for each forward pass."""
    before, first = outputs_of(model, layer)
    try:
        with steered(model, rows, MASK, copies):
            after, second = outputs_of(model, layer)
            try:
                run()
            finally:
                second.remove()
    finally:
        first.remove()
    return [new - old for old, new in zip(before, after, strict=True)]


def forward(model, ids=IDS, mask=MASK, positions=POSITIONS, **options):
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=mask, position_ids=positions, **options)


def step_by_step(model, widths, rows=None):
    """Read the prompt in pieces of these widths, then two more tokens."""
    cache = DynamicCache(config=model.config)
    ids = torch.cat([IDS, torch.tensor([[80, 81]] * 3)], dim=1)
    mask = torch.cat([MASK, torch.ones(3, 2, dtype=torch.long)], dim=1)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    start, logits = 0, []
    for width in [*widths, 1, 1]:
        end = start + width
        part = forward(
            model,
            ids[:, start:end],
            mask[:, :end],
            positions[:, start:end],
            past_key_values=cache,
            use_cache=True,
        )
        logits.append(part.logits)
        start = end
    return torch.cat(logits, dim=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_row_is_steered_at_its_last_prompt_token_and_nowhere_else(family_model, steer, family):
    model = family_model(family)
    rows = [steer([1], 2.0, seed) for seed in range(3)]
    [shift] = shifts(model, rows, 1, lambda: forward(model))
    for row, steering in enumerate(rows):
        assert torch.allclose(shift[row, -1], 2.0 * steering.vectors[1], atol=1e-4)
    assert not shift[:, :-1].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_killer_a_indexing_a_tensor_steers_the_first_row_where_ours_steers_all(family_model, steer, family):
    model, steering = family_model(family), steer([1], 2.0)
    plain = forward(model).logits[:, -1]
    delta = 2.0 * steering.vectors[1]

    def first_item(_module, _args, output):
        output[0][..., -1, :] += delta  # what libraries write for models whose blocks return tuples

    handle = find_decoder(model).blocks[1].register_forward_hook(first_item)
    try:
        naive = forward(model).logits[:, -1]
    finally:
        handle.remove()
    with steered(model, [steering] * 3, MASK):
        ours = forward(model).logits[:, -1]
    changed = lambda logits: (logits - plain).abs().amax(dim=-1) > 1e-3  # noqa: E731
    assert changed(naive).tolist() == ([True] * 3 if family in TUPLES else [True, False, False])
    assert changed(ours).tolist() == [True] * 3


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2", "gpt2"])
def test_killer_b_hidden_states_hide_a_hook_and_a_second_hook_shows_it(family_model, steer, family):
    model, rows = family_model(family), [steer([1], 2.0)] * 3
    plain = forward(model, output_hidden_states=True).hidden_states
    with steered(model, rows, MASK):
        hidden = forward(model, output_hidden_states=True).hidden_states
    [shift] = shifts(model, rows, 1, lambda: forward(model))
    assert torch.equal(hidden[2], plain[2]), (
        "what transformers records of the steered layer looks like no steering"
    )
    assert not torch.equal(hidden[3], plain[3]), "yet the next layer saw it"
    assert torch.allclose(shift[:, -1].norm(dim=-1), torch.tensor(2.0), atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_killer_c_steps_with_a_cache_stay_steered_where_a_mask_of_the_prompt_is_spent(
    family_model, steer, family
):
    model, steering = family_model(family), steer([1], 2.0)
    steps = shifts(model, [steering] * 3, 1, lambda: step_by_step(model, [5]))
    assert [bool(step[:, -1].any()) for step in steps] == [True, True, True]
    # The usual way: positions of the prompt from a fixed index on; a step has one column, so nothing is chosen.
    delta, naive = torch.zeros(1, 1, 32), []

    def from_index(_module, _args, output):
        hidden = output[0] if isinstance(output, tuple) else output
        chosen = (torch.arange(hidden.shape[1]) >= 4).float()[None, :, None]
        naive.append(bool((chosen * (delta + steering.vectors[1])).any()))

    handle = find_decoder(model).blocks[1].register_forward_hook(from_index)
    try:
        step_by_step(model, [5])
    finally:
        handle.remove()
    assert naive == [True, False, False]


@pytest.mark.parametrize("family", FAMILIES)
def test_killer_d_a_chunked_prompt_is_steered_once_where_last_of_each_chunk_would_be(
    family_model, steer, family
):
    model, rows = family_model(family), [steer([1], 2.0)] * 3
    whole = shifts(model, rows, 1, lambda: step_by_step(model, [5]))
    pieces = shifts(model, rows, 1, lambda: step_by_step(model, [2, 2, 1]))
    columns = lambda parts: torch.cat(parts, dim=1).abs().amax(dim=-1) > 1e-5  # noqa: E731
    assert columns(whole).tolist() == columns(pieces).tolist() == [[False] * 4 + [True] * 3] * 3
    with steered(model, rows, MASK):
        one, many = step_by_step(model, [5]), step_by_step(model, [2, 2, 1])
    assert torch.allclose(one[:, 2:], many[:, 2:], atol=1e-3)
    delta = 2.0 * rows[0].vectors[1]

    def last_column(_module, _args, output):  # "more than one column means prompt: steer the last"
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[:, -1] += delta
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = find_decoder(model).blocks[1].register_forward_hook(last_column)
    try:
        naive_one, naive_many = step_by_step(model, [5]), step_by_step(model, [2, 2, 1])
    finally:
        handle.remove()
    assert torch.allclose(naive_one, one, atol=1e-3), "in one piece, the rule of thumb is right"
    assert (naive_one[:, -1] - naive_many[:, -1]).abs().max() > 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_strength_zero_is_bitwise_no_steering_with_hooks_on(family_model, steer, family):
    model = family_model(family)
    plain = step_by_step(model, [5])
    with steered(model, [steer([0, 2], 0.0), steer([1], 0.0, op="project_out"), None], MASK):
        with_hooks = step_by_step(model, [5])
    assert torch.equal(plain, with_hooks)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_among_others_is_bitwise_what_it_is_among_its_like(family_model, steer, family):
    model = family_model(family)
    rows = [steer([1], 1.5, 1), None, steer([0, 3], -0.7, 2, op="add_norm_preserving")]
    with steered(model, rows, MASK):
        mixed = step_by_step(model, [5])
    for place, row in enumerate(rows):
        with steered(model, [row] * 3, MASK):
            alike = step_by_step(model, [5])
        assert torch.equal(mixed[place], alike[place])


def test_an_unsteered_element_keeps_its_bits_where_adding_zero_would_not(steer):
    from engines.steer.hooks import SteerState

    state = SteerState(torch.device("cpu"))
    rows = [steer([1], 0.0), steer([1], 1e38, 1, norm=1e38)]
    state.assign(rows, torch.tensor([1, 1]), torch.tensor([2, 2]))
    state.begin(torch.zeros(2, 2, dtype=torch.long), torch.ones(2, 2), 0, 2, 2)
    hidden = torch.full((2, 2, 32), -0.0)
    steered_rows = state.steer(("block_out", 1), hidden)
    assert bool(torch.signbit(steered_rows[0]).all()), "0 * v + -0.0 would be 0.0"
    assert bool(torch.signbit(steered_rows[1, 0]).all())
    assert not steered_rows[1, 1].isfinite().all(), "the neighbour overflows, and stays alone with it"
    assert not bool(torch.signbit(hidden + 0.0).any())


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_is_never_steered(family_model, steer, family):
    model = family_model(family)
    rows = [steer([1], 2.0, where={"prompt": "all"})] * 3
    [shift] = shifts(model, rows, 1, lambda: forward(model))
    assert torch.equal(shift.abs().amax(dim=-1) > 1e-5, MASK.bool())


def test_windows_count_real_tokens_whatever_the_padding(family_model, steer):
    model = family_model("llama")
    cases = {
        (0, 1): [[2], [0], [1]],
        (-2, -1): [[3], [3], [3]],
        (-2, 0): [[3, 4]] * 3,
        (1, 3): [[3, 4], [1, 2], [2, 3]],
    }
    for window, expected in cases.items():
        where = {"prompt": "window", "prompt_window": window, "generation": "none"}
        first, *steps = shifts(model, [steer([1], 2.0, where=where)] * 3, 1, lambda: step_by_step(model, [5]))
        assert [row.nonzero().flatten().tolist() for row in first.any(dim=-1)] == expected, window
        assert not any(step.any() for step in steps)


def test_windows_and_tokens_of_the_completion(family_model, steer):
    model = family_model("llama")
    run = lambda: step_by_step(model, [5])  # noqa: E731
    for where, expected in (
        ({"prompt": "none", "generation": "window", "generation_window": (1, 2)}, [False, False, True]),
        ({"prompt": "none", "generation": "tokens", "tokens": (80,)}, [False, True, False]),
        ({"prompt": "last", "generation": "none"}, [True, False, False]),
    ):
        steps = shifts(model, [steer([1], 2.0, where=where)] * 3, 1, run)
        assert [bool(step.any()) for step in steps] == expected, where


def test_schedules_weaken_from_token_to_token(family_model, steer):
    model = family_model("qwen2")
    for schedule, expected in (
        ({"kind": "linear_decay", "steps": 4}, [1.0, 0.75, 0.5]),
        ({"kind": "exp", "rate": 0.5}, [1.0, 0.60653, 0.36788]),
        ({"kind": "first_k", "steps": 2}, [1.0, 1.0, 0.0]),
    ):
        rows = [steer([1], 2.0, schedule=schedule)] * 3
        steps = shifts(model, rows, 1, lambda: step_by_step(model, [5]))
        sizes = torch.stack([step[:, -1].norm(dim=-1) for step in steps]) / 2.0
        assert torch.allclose(sizes, torch.tensor(expected)[:, None].expand(3, 3), atol=1e-4), schedule


PLACES = {
    "caa-paper": torch.tensor([[0, 0, 0, 0, 1]] * 3),
    "caa-wisent": torch.tensor([[0, 0, 0, 1, 0]] * 3),
    "repeng": MASK,
}


@pytest.mark.parametrize("name", PLACES)
def test_presets_add_what_their_sources_add_and_where(family_model, name):
    """multiplier x raw mean difference (CAA), or x unit vector (repeng): at these tokens of the prompt, and at all others."""
    raw = torch.randn(1, 32, generator=torch.Generator().manual_seed(5)) * 0.7
    found = directions("block_out", "made up", [1], raw, [123.0])
    model, row = family_model("llama"), found.steering([1], 1.5, preset=name)
    prompt, *written = shifts(model, [row] * 3, 1, lambda: step_by_step(model, [5]))
    added = 1.5 * (raw[0] / raw.norm() if name == "repeng" else raw[0])
    assert torch.allclose(prompt, PLACES[name][..., None] * added, atol=1e-5)
    assert len(written) == 2 and all(
        torch.allclose(one, added.expand(3, 1, 32), atol=1e-5) for one in written
    )


def test_operations_do_what_their_formulas_say(family_model, steer):
    model = family_model("llama")
    before, handle = outputs_of(model, 1)
    forward(model)
    handle.remove()
    h = before[0][:, -1]
    for op, alpha in (("project_out", 1.0), ("replace_component", 3.0), ("add_norm_preserving", 3.0)):
        row = steer([1], alpha, op=op)
        v = row.vectors[1]
        [shift] = shifts(model, [row] * 3, 1, lambda: forward(model))
        after = h + shift[:, -1]
        if op == "add_norm_preserving":
            assert torch.allclose(after.norm(dim=-1), h.norm(dim=-1), rtol=1e-4)
            assert torch.allclose(torch.cosine_similarity(after, h + 3 * v), torch.tensor(1.0), atol=1e-5)
        else:
            assert torch.allclose(after @ v, torch.tensor(0.0 if op == "project_out" else 3.0), atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("site", ["block_in", "o_proj_in"])
def test_other_sites_steer_too(family_model, steer, family, site):
    model, row = family_model(family), steer([2], 2.0, site=site)
    plain = forward(model).logits
    with steered(model, [row, None, row], MASK):
        changed = (forward(model).logits[:, -1] - plain[:, -1]).abs().amax(dim=-1) > 1e-4
    assert changed.tolist() == [True, False, True]
    assert torch.equal(forward(model).logits, plain)


def test_the_block_s_output_is_the_next_one_s_input(family_model, steer):
    model = family_model("gpt2")
    out, into = steer([1], 2.0), steer([1], 2.0)
    into = steer([2], 2.0, site="block_in")
    with steered(model, [out] * 3, MASK):
        first = forward(model).logits
    with steered(model, [into] * 3, MASK):
        assert torch.equal(first, forward(model).logits)


@pytest.mark.parametrize("family", ["llama", "gemma2", "gptj"])
@pytest.mark.parametrize("options", [{"num_beams": 2}, {"do_sample": True, "num_return_sequences": 2}])
def test_generate_with_copies_of_each_row_steers_every_copy(family_model, steer, family, options):
    model = family_model(family)
    rows = [steer([1], 2.0), None, steer([1], 2.0, 1)]
    torch.manual_seed(0)
    run = lambda: model.generate(IDS, attention_mask=MASK, max_new_tokens=3, min_new_tokens=3, **options)  # noqa: E731
    steps = shifts(model, rows, 1, run, copies=2)
    for step in steps:
        sizes = step[:, -1].norm(dim=-1)
        assert torch.allclose(sizes, torch.tensor([2.0, 2.0, 0.0, 0.0, 2.0, 2.0]), atol=1e-4)
        assert torch.allclose(step[4, -1], 2.0 * rows[2].vectors[1], atol=1e-4)
    with pytest.raises(RecipeError, match="a batch of 6 rows, but 3 are assigned"):
        shifts(model, rows, 1, run)


def test_generate_in_chunks_is_generate_in_one(family_model, steer):
    model, rows = family_model("llama"), [steer([1], 3.0, seed) for seed in range(3)]
    with steered(model, rows, MASK):
        whole = model.generate(IDS, attention_mask=MASK, max_new_tokens=8, do_sample=False)
        chunked = model.generate(
            IDS, attention_mask=MASK, max_new_tokens=8, do_sample=False, prefill_chunk_size=2
        )
    plain = model.generate(IDS, attention_mask=MASK, max_new_tokens=8, do_sample=False)
    assert torch.equal(whole, chunked) and not torch.equal(whole, plain)


def test_hooks_are_gone_after_an_error_and_the_model_is_as_before(family_model, steer):
    model = family_model("llama")
    plain = forward(model).logits
    hooks = lambda: sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())  # noqa: E731
    before = hooks()
    with pytest.raises(ZeroDivisionError), steered(model, [steer([0, 1], 2.0)] * 3, MASK):
        assert hooks() == before + 3
        raise ZeroDivisionError
    assert hooks() == before and torch.equal(forward(model).logits, plain)


def test_an_adapter_is_steered_like_its_base(family_model, steer):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        copy.deepcopy(family_model("llama")),
        LoraConfig(target_modules=["q_proj", "o_proj"], task_type="CAUSAL_LM"),
    ).eval()
    for site in ("block_out", "o_proj_in"):
        row = steer([1], 2.0, site=site)
        with steered(model, [row] * 3, MASK):
            adapted = forward(model).logits
        with steered(family_model("llama"), [row] * 3, MASK):
            assert torch.allclose(forward(family_model("llama")).logits, adapted, atol=1e-5)


def test_what_cannot_be_steered_is_told(family_model, steer):
    from transformers import MambaConfig, MambaForCausalLM

    model = family_model("llama")
    wrong = steered(model, [steer([4], 1.0)], MASK)
    with pytest.raises(RecipeError, match="there is no layer 4: the model's blocks are 0 to 3"), wrong:
        pass
    with hooked(model, [("block_out", 1)]), pytest.raises(RecipeError, match="before any row was assigned"):
        forward(model)
    dynamic = steered(model, [steer([1], 1.0, schedule={"kind": "dac"})] * 3, MASK)
    with dynamic, pytest.raises(RecipeError, match="no strength here"):
        forward(model)
    config = MambaConfig(vocab_size=512, hidden_size=32, num_hidden_layers=2, state_size=8)
    with pytest.raises(RecipeError, match="takes no key-value cache"), hooked(MambaForCausalLM(config), []):
        pass


@pytest.mark.parametrize("vector", [torch.full((4,), 0.6), torch.tensor([float("nan")] * 4), torch.eye(2)])
def test_a_vector_that_is_not_a_finite_unit_vector_is_refused(vector):
    from engines.steer.directions import vector_hash

    with pytest.raises(RecipeError, match="of length 1"):
        vector_hash(vector)


def test_a_vector_that_the_spec_does_not_name_is_refused(steer):
    from engines.steer.directions import Steering

    one, other = steer([1], 1.0, 0), steer([1], 1.0, 1)
    with pytest.raises(RecipeError, match="not the one that the spec names"):
        Steering(one.spec, other.vectors)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("op", ["add", "project_out", "replace_component", "add_norm_preserving"])
def test_steps_of_constant_weight_have_the_bits_of_weights_worked_out_column_by_column(
    family_model, steer, monkeypatch, family, op
):
    model = family_model(family)
    rows = [steer([1], 2.0, op=op), None, steer([0, 2], -1.5, 1, op=op, where={"prompt": "none"})]
    short = steps_of(model, rows)
    monkeypatch.setattr(hooks, "constant_from", lambda _rows, _last: None)
    assert torch.equal(steps_of(model, rows), short)
    assert not torch.equal(steps_of(model, [None] * 3), short)


def steps_of(model, rows):
    with steered(model, rows, MASK):
        return step_by_step(model, [1, 4])
