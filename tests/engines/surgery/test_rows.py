"""Rows of gradients of a real model, and the update that comes out of them."""

import torch
from torch import nn

from engines.distributed.world import World
from engines.surgery.gramian import flatten, gramian, groups_of, overlap, unflatten
from engines.surgery.methods import Situation
from engines.surgery.rows import collect, gramian_of_halves, operate, pooled

WORLD = World()


class Net(nn.Module):
    """Two blocks with two parts each, and something outside of them."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 4, bias=False)
        self.layers = nn.ModuleList(
            nn.ModuleDict({"attn": nn.Linear(4, 4), "mlp": nn.Linear(4, 4)}) for _ in range(2)
        )

    def forward(self, x):
        x = self.embed(x)
        for layer in self.layers:
            x = x + layer["mlp"](torch.tanh(layer["attn"](x)))
        return x


def bench(seed=0, tasks=3, rows=4):
    torch.manual_seed(seed)
    net = Net()
    inputs = torch.randn(tasks * rows, 3)
    targets = torch.randn(tasks * rows, 4)
    members = [list(range(task * rows, (task + 1) * rows)) for task in range(tasks)]

    def loss(turn):
        return ((net(inputs[turn]) - targets[turn]) ** 2).sum() / rows

    return net, members, loss


def situations(count, seed=0):
    def situation(group):
        shares = torch.full((count,), 1 / count, dtype=torch.float64)
        targets = torch.zeros(count, count, dtype=torch.float64)
        return Situation(torch.Generator().manual_seed(seed), shares, tuple(range(count)), targets)

    return situation


def turns(members, size):
    return [[own[at : at + size] for at in range(0, len(own), size)] for own in members]


def groups(net, granularity):
    named = list(net.named_parameters())
    return groups_of([name for name, _ in named], [one.numel() for _, one in named], granularity)


def test_a_row_is_the_gradient_of_its_task_however_it_is_cut_into_micro_batches():
    net, members, loss = bench()
    parameters = list(net.parameters())
    whole = collect(parameters, turns(members, 4), loss, WORLD, halved=False).whole
    for task, own in enumerate(members):
        expected = torch.autograd.grad(loss(own), parameters)
        assert torch.allclose(whole[task], torch.cat([one.reshape(-1) for one in expected]), atol=1e-6)
    for size in (1, 2, 3):
        cut = collect(parameters, turns(members, size), loss, WORLD, halved=False).whole
        assert (cut - whole).abs().max() < 1e-6


def test_halves_are_of_different_micro_batches_and_add_up():
    net, members, loss = bench()
    parameters = list(net.parameters())
    rows = collect(parameters, turns(members, 2), loss, WORLD, halved=True)
    assert rows.halves.shape == (6, rows.columns)
    assert torch.equal(rows.whole, rows.halves[:3] + rows.halves[3:])
    first = torch.autograd.grad(loss(members[1][:2]), parameters)
    assert torch.allclose(rows.halves[1], torch.cat([one.reshape(-1) for one in first]), atol=1e-6)
    assert gramian_of_halves(rows, WORLD).shape == (6, 6)


def test_the_equal_update_is_the_mean_of_the_tasks_and_the_pooled_one_their_sum_as_weighted():
    net, members, loss = bench()
    parameters = list(net.parameters())
    rows = collect(parameters, turns(members, 4), loss, WORLD, halved=False)
    equal, _ = operate(rows, groups(net, "global"), "equal", situations(3), WORLD)
    assert torch.allclose(equal, rows.whole.mean(dim=0), atol=1e-7)
    together = pooled(parameters, list(members), loss, WORLD)
    assert torch.allclose(together, rows.whole.sum(dim=0), atol=1e-6)


def test_modules_decide_apart_and_together_cover_every_column_once():
    net, _, _ = bench()
    parts = groups(net, "module")
    assert set(parts) == {"outside", "0.attn", "0.mlp", "1.attn", "1.mlp"}
    columns = sorted(at for ranges in parts.values() for a, b in ranges for at in range(a, b))
    assert columns == list(range(sum(one.numel() for one in net.parameters())))
    assert len(groups(net, "tensor")) == len(list(net.parameters()))
    assert groups_of(
        [
            "base.layers.3.self_attn.q_proj.lora_A.default.weight",
            "base.layers.3.self_attn.q_proj.lora_B.default.weight",
        ],
        [5, 7],
        "module",
    ) == {"3.self_attn": [(0, 12)]}


def test_each_group_is_operated_on_by_its_own_gramian():
    net, members, loss = bench(seed=5, tasks=6)
    rows = collect(list(net.parameters()), turns(members, 4), loss, WORLD, halved=False)
    update, parts = operate(rows, groups(net, "module"), "pcgrad", situations(6), WORLD)
    for name, ranges in groups(net, "module").items():
        assert torch.equal(parts[name].gramian, gramian(rows.whole, ranges))
        for start, stop in ranges:
            expected = parts[name].weights.float() @ rows.whole[:, start:stop]
            assert torch.allclose(update[start:stop], expected, atol=1e-6)
    whole, _ = operate(rows, groups(net, "global"), "pcgrad", situations(6), WORLD)
    assert not torch.allclose(update, whole)


def test_gradients_go_into_a_vector_and_back():
    net, members, loss = bench()
    parameters = list(net.parameters())
    loss(members[0]).backward()
    vector = flatten(parameters)
    kept = [one.grad.clone() for one in parameters]
    unflatten(2 * vector, parameters)
    assert all(torch.equal(one.grad, 2 * before) for one, before in zip(parameters, kept, strict=True))
    parameters[0].grad = None
    assert not flatten(parameters)[: parameters[0].numel()].any()


def test_a_share_of_the_columns_holds_its_part_of_each_range():
    assert overlap([(0, 4), (6, 10)], 3, 8) == [(0, 1), (3, 5)]
    assert overlap([(0, 4)], 4, 8) == []
