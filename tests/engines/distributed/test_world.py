"""Two real processes on gloo come to what one comes to: sums before decisions."""

import multiprocessing
import runpy
from pathlib import Path

import pytest
import torch

from engines.distributed.world import World
from engines.surgery.gramian import groups_of
from engines.surgery.rows import collect, gramian_of_halves, operate, pooled

HERE = runpy.run_path(str(Path(__file__).parent.parent / "surgery" / "test_rows.py"))


def everything(method="pcgrad", granularity="global"):
    """What one process, or this one of several, finds for the same batch."""
    world = World()
    net, members, loss = HERE["bench"](seed=5, tasks=6)
    parameters = list(net.parameters())
    names, sizes = zip(*[(name, one.numel()) for name, one in net.named_parameters()], strict=True)
    rows = collect(parameters, HERE["turns"](members, 1), loss, world, halved=True)
    groups = groups_of(names, sizes, granularity)
    update, parts = operate(rows, groups, method, HERE["situations"](6), world)
    return {
        "update": update,
        "columns kept": rows.whole.shape[1],
        "weights": torch.stack([part.weights for part in parts.values()]),
        "gramian": torch.stack([part.gramian for part in parts.values()]),
        "halves": gramian_of_halves(rows, world),
        "pooled": pooled(
            parameters, [turn for own in HERE["turns"](members, 1) for turn in own], loss, world
        ),
        "agreed": (world.agree(world.rank == 1), world.agree(False)),
        "objects": world.gather_objects({"rank": world.rank}),
    }


def worker(rank, size, port, results, method, granularity):
    import os

    from engines.distributed.world import joined_world

    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    torch.set_num_threads(1)
    with joined_world() as world:
        assert world.size == size
        found = everything(method, granularity)
    results.put((rank, {key: one.numpy() if hasattr(one, "numpy") else one for key, one in found.items()}))


def free_port():
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@pytest.mark.parametrize(("method", "granularity"), [("pcgrad", "global"), ("gradvac", "module")])
def test_two_processes_decide_and_update_as_one_does(method, granularity):
    alone = everything(method, granularity)
    context = multiprocessing.get_context("fork")
    results, port = context.Queue(), free_port()
    both = [
        context.Process(target=worker, args=(rank, 2, port, results, method, granularity))
        for rank in range(2)
    ]
    for process in both:
        process.start()
    found = dict(results.get(timeout=60) for _ in both)
    for process in both:
        process.join()
        assert process.exitcode == 0
    for key in ("update", "weights", "gramian", "halves", "pooled"):
        first, second = (torch.as_tensor(found[rank][key]) for rank in range(2))
        assert torch.equal(first, second), key  # nobody disagrees, not even by a rounding error
        assert (first - alone[key]).abs().max() < 1e-6 * max(1.0, float(alone[key].abs().max())), key
    assert found[0]["columns kept"] + found[1]["columns kept"] == alone["columns kept"]
    assert found[0]["agreed"] == found[1]["agreed"] == (True, False)
    assert found[1]["objects"] == [{"rank": 0}, {"rank": 1}]


def test_one_process_alone_keeps_everything_and_sends_nothing():
    world = World()
    vector = torch.arange(5.0)
    assert world.leads and world.size == 1 and world.share(5) == (0, 5)
    assert torch.equal(world.keep(vector), vector) and torch.equal(world.put_together(vector, 5), vector)
    assert world.agree(True) and not world.agree(False) and world.gather_objects(3) == [3]
