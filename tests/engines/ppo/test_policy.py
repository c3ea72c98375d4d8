"""Actor, critic and reference on one base: who is trained by what, and who stays as it was."""

import pytest
import torch

from engines.ppo.batches import collate
from engines.ppo.policy import ActorCritic

CPU = torch.device("cpu")


def load(tiny_model, lora=True, seed=0):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    if not lora:
        return model.train()
    return get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")).train()


def models(tiny_model, mode, lora=True, heads=1, reference=True):
    return ActorCritic(load(tiny_model, lora), critic=mode, heads=heads, reference=reference)


@pytest.fixture
def batch(rows):
    return collate(rows, 0, CPU)


def nudge(parameters, seed=1):
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, one in parameters:
            one += 0.05 * torch.randn(one.shape, generator=draw)


MODES = [("adapter", True), ("separate", True), ("shared", True), ("separate", False), ("shared", False)]


@pytest.mark.parametrize(("mode", "lora"), MODES)
def test_policy_and_reference_are_the_same_before_training(tiny_model, batch, mode, lora):
    made = models(tiny_model, mode, lora)
    logps, entropy = made.logps(batch, 1.0, with_entropy=True)
    assert torch.equal(logps, made.reference_logps(batch, 1.0))
    assert (entropy > 0).all() and logps.shape == batch.responses.shape


@pytest.mark.parametrize(("mode", "lora"), MODES)
def test_the_reference_stays_when_the_policy_moves(tiny_model, batch, mode, lora):
    made = models(tiny_model, mode, lora)
    before = made.reference_logps(batch, 1.0)
    nudge(made.policy)
    assert torch.equal(made.reference_logps(batch, 1.0), before)
    assert not torch.allclose(made.logps(batch, 1.0)[0], before)


def test_the_reference_of_an_adapter_that_was_trained_before_is_that_adapter(tiny_model, batch):
    model = load(tiny_model)
    nudge([(name, one) for name, one in model.named_parameters() if one.requires_grad])
    made = ActorCritic(model, critic="adapter", heads=1, reference=True)
    first = made.logps(batch, 1.0)[0].detach()
    assert torch.equal(made.reference_logps(batch, 1.0), first)
    nudge(made.policy, seed=2)
    assert torch.equal(made.reference_logps(batch, 1.0), first)
    assert not torch.allclose(made.logps(batch, 1.0)[0], first)


@pytest.mark.parametrize(("mode", "lora"), MODES)
def test_each_loss_reaches_its_own_parameters_alone(tiny_model, batch, mode, lora):
    made = models(tiny_model, mode, lora)
    units = torch.zeros(len(batch.input_ids), dtype=torch.long)
    for _ in range(2):  # switching adapters back and forth must not freeze any
        made.logps(batch, 1.0)[0].sum().backward()
        assert all(one.grad is not None for _, one in made.policy)
        assert not any(one.grad is not None and one.grad.any() for _, one in made.value)
        made.model.zero_grad()
        made.head.weight.data.fill_(0.1)
        made.values(batch, units).sum().backward()
        assert (
            sum(bool(one.grad is not None and one.grad.any()) for _, one in made.value) >= len(made.value) / 2
        )
        if mode != "shared":
            assert not any(one.grad is not None and one.grad.any() for _, one in made.policy)
        for _, one in [*made.value, *made.policy]:
            one.grad = None
    frozen = [one for name, one in made.model.named_parameters() if "base_layer" in name]
    assert not any(one.requires_grad for one in frozen)


def test_a_value_is_read_from_before_its_token(tiny_model, make_row):
    made = models(tiny_model, "adapter")
    nudge(made.value)
    units = torch.zeros(1, dtype=torch.long)
    values = [
        made.values(collate([make_row([5, 6, 7], response)], 0, CPU), units)[0]
        for response in ([8, 9, 10], [8, 9, 11], [8, 12, 10])
    ]
    assert torch.allclose(values[0], values[1])  # the last token is seen by no value
    assert torch.allclose(values[0][:2], values[2][:2]) and not torch.allclose(values[0][2], values[2][2])


def test_padding_changes_no_log_probability_and_no_value(tiny_model, rows):
    made = models(tiny_model, "adapter")
    nudge(made.value)
    together, units = collate(rows, 0, CPU), torch.zeros(len(rows), dtype=torch.long)
    logps, values = made.logps(together, 0.7)[0], made.values(together, units)
    for place, row in enumerate(rows):
        alone = collate([row], 0, CPU)
        count = len(row.response_ids)
        assert torch.allclose(logps[place, :count], made.logps(alone, 0.7)[0][0, :count], atol=1e-5)
        assert torch.allclose(values[place, :count], made.values(alone, units[:1])[0, :count], atol=1e-5)


def test_the_critic_expects_what_it_is_told_at_first_and_each_task_has_its_head(tiny_model, batch):
    made = models(tiny_model, "adapter", heads=2)
    made.expect(0.25)
    units = torch.tensor([0] * 6 + [1] * 6)
    assert torch.equal(made.values(batch, units), torch.full(batch.responses.shape, 0.25))
    with torch.no_grad():
        made.head.bias[1] = 2.0
    assert made.values(batch, units)[:, 0].tolist() == [0.25] * 6 + [2.0] * 6


@pytest.mark.parametrize(("mode", "lora"), [("adapter", True), ("separate", False)])
def test_what_is_saved_is_the_policy_and_loads_as_any_model(tiny_model, batch, tmp_path, mode, lora):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    made = models(tiny_model, mode, lora)
    nudge(made.policy)
    made.save_pretrained(tmp_path)
    if lora:
        loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), tmp_path)
        assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    else:
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    again = ActorCritic(loaded.train(), critic=None, heads=1, reference=False)
    assert torch.equal(again.logps(batch, 1.0)[0], made.logps(batch, 1.0)[0])


def test_everything_that_training_changes_is_put_back(tiny_model, batch):
    made, other = models(tiny_model, "adapter"), models(tiny_model, "adapter")
    nudge(made.policy)
    nudge(made.value)
    other.restore({name: one.clone() for name, one in made.tensors().items()})
    units = torch.zeros(len(batch.input_ids), dtype=torch.long)
    assert torch.equal(other.logps(batch, 1.0)[0], made.logps(batch, 1.0)[0])
    assert torch.equal(other.values(batch, units), made.values(batch, units))
