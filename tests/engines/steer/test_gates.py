import copy
import json

import pytest
import torch

from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError
from engines.steer import gates, hooks, scorer_gate
from engines.steer.directions import directions
from engines.steer.gates import Bench, run_gates
from engines.tasks.example import Example

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gpt2", "gptj", "falcon")
PROMPTS = [
    f"{text} {number}"
    for text in ("Tom has", "He has 12 + 30 = 42 apples.", "0 1 2 3", "Place it between <")
    for number in range(8)
]
EXAMPLES = [Example(f"e{n}", "q", f"It is {n}.", str(n)) for n in (5, 1200, 31)]


def bench(model, tokenizer, site="block_out", prompts=PROMPTS[::4], **fields):
    size = 32
    raw = torch.randn(4, size, generator=torch.Generator().manual_seed(0))
    found = directions(site, "random", range(4), raw, [4.0, 5.0, 6.0, 7.0])
    sampling = SamplingBlock(max_new_tokens=8)
    return Bench(
        model, tokenizer, prompts, found, (1, 3), 0.5, sampling, PromptSpec(), EXAMPLES, fields, steps=6
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_passes_every_gate(family_model, tokenizer, tmp_path, family, dtype):
    model = copy.deepcopy(family_model(family)).to(getattr(torch, dtype))
    prompts = PROMPTS if dtype == "float32" else PROMPTS[::4]
    rows = run_gates(bench(model, tokenizer, prompts=prompts), tmp_path)
    assert len(rows) == 10 and all(row.passed for row in rows)
    written = json.loads((tmp_path / "gates.json").read_text())
    assert [row["name"] for row in written] == [row.name for row in rows]
    assert [row["name"].split()[0] for row in written] == [f"G{number}" for number in range(1, 11)]
    assert written[0]["figures"]["prompts"] == len(prompts) and written[2]["figures"]["bitwise"] == 1


@pytest.mark.parametrize("site", ["block_in", "o_proj_in"])
def test_other_sites_pass_too(family_model, tokenizer, tmp_path, site):
    assert all(row.passed for row in run_gates(bench(family_model("falcon"), tokenizer, site), tmp_path))


real_weights, real_apply = hooks.weights, hooks._Addend.apply


def only_in_prompts(rows, mask, ids, past, last, lengths):
    return real_weights(rows, mask, ids, past, last, lengths) * (mask.shape[1] - past > 1)


def last_of_each_chunk(rows, mask, ids, past, last, lengths):
    return real_weights(rows, mask, ids, past, torch.full_like(last, mask.shape[1] - 1), lengths)


def padding_as_well(rows, mask, ids, past, last, lengths):
    return real_weights(rows, torch.ones_like(mask), ids, past, last, lengths)


def counted_without_padding(rows, mask, ids, past, last, lengths):
    return real_weights(rows, mask, ids, past, lengths - 1, lengths)


def from_the_first_column_on(_rows, _last):
    return 0


def only_the_first_row(addend, hidden, weight):
    return torch.cat([real_apply(addend, hidden, weight)[:1], hidden[1:]])


def the_neighbours(addend, hidden, weight):
    return hidden + real_apply(addend, hidden, weight).sub(hidden).roll(1, 0)


def whatever_the_sign(addend, hidden, weight):
    addend.delta = addend.delta * addend.scale.sign()
    return real_apply(addend, hidden, weight)


def a_little_for_everyone(addend, hidden, weight):
    return real_apply(addend, hidden, weight) + 1e-3 * addend.delta.sum(dim=0)


def twice(addend, hidden, weight):
    return real_apply(addend, real_apply(addend, hidden, weight), weight)


FAULTS = [
    ("weights", only_in_prompts, "G4"),
    ("weights", last_of_each_chunk, "G7"),
    ("weights", padding_as_well, "G6"),
    ("weights", counted_without_padding, "G8"),
    ("constant_from", from_the_first_column_on, "G6"),
    ("apply", the_neighbours, "G3"),
    ("apply", only_the_first_row, "G6"),
    ("apply", whatever_the_sign, "G9"),
    ("apply", a_little_for_everyone, "G2"),
    ("apply", twice, "G6"),
]


@pytest.mark.parametrize(
    ("part", "fault", "gate"), FAULTS, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_fault_stops_the_run_at_its_gate(family_model, tokenizer, tmp_path, monkeypatch, part, fault, gate):
    monkeypatch.setattr(hooks._Addend if part == "apply" else hooks, part, fault)
    if part == "weights":  # which are asked for at every step only where they differ from column to column
        monkeypatch.setattr(hooks, "constant_from", lambda _rows, _last: None)
    with pytest.raises(RecipeError, match=f"gates failed.*{gate} ") as failure:
        run_gates(bench(family_model("llama"), tokenizer), tmp_path)
    [row] = [row for row in json.loads((tmp_path / "gates.json").read_text()) if row["name"].startswith(gate)]
    assert not row["passed"] and row["why"] in str(failure.value)


def test_steering_at_strength_zero_stops_the_run(family_model, tokenizer, tmp_path, monkeypatch):
    real = hooks.SteerState.steer
    monkeypatch.setattr(
        hooks.SteerState, "steer", lambda self, place, hidden: real(self, place, hidden) * 1.0001
    )
    with pytest.raises(RecipeError, match="G1 "):
        run_gates(bench(family_model("llama"), tokenizer), tmp_path)


def test_a_hook_that_stays_stops_the_run(family_model, tokenizer, tmp_path, monkeypatch):
    model = copy.deepcopy(family_model("llama"))

    class Kept(hooks.ExitStack):
        def callback(self, *_arguments, **_options):
            pass

    monkeypatch.setattr(hooks, "ExitStack", Kept)
    with pytest.raises(RecipeError, match=r"G5 hooks come off: .*hooks_left [1-9]"):
        run_gates(bench(model, tokenizer), tmp_path)


def test_a_scorer_that_cannot_read_commas_stops_the_run(family_model, tokenizer, tmp_path, monkeypatch):
    real = scorer_gate.grade
    monkeypatch.setattr(
        scorer_gate,
        "grade",
        lambda text, gold, spec, terminated: real(text.replace(",", " "), gold, spec, terminated),
    )
    with pytest.raises(RecipeError, match="G10 scorer: '1,200' for 1200 is graded wrong"):
        run_gates(bench(family_model("llama"), tokenizer), tmp_path)


def test_a_gold_answer_that_is_graded_wrong_stops_the_run(family_model, tokenizer, tmp_path):
    stand = bench(family_model("llama"), tokenizer)
    stand.prompt = PromptSpec(solution_end="5")
    with pytest.raises(RecipeError, match="the gold answer of e5 is graded wrong"):
        run_gates(stand, tmp_path)


def test_gates_are_functions_of_their_own(family_model, tokenizer):
    stand = bench(family_model("gpt2"), tokenizer)
    assert all(gates.run_gate(name, stand).passed for name in ("G9 sign", "G6 realised shift"))
