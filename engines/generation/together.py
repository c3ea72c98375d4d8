"""Completions that several processes make together: each its share of the requests, and everybody gets all."""

from collections.abc import Sequence

from engines.distributed.world import World
from engines.generation.completion import Completion
from engines.generation.generator import Generator, Request, complete
from engines.recipe.blocks import SamplingBlock


def complete_together(
    generator: Generator, requests: Sequence[Request], sampling: SamplingBlock, stop: Sequence[str], seed: int
) -> list[Completion]:
    """All completions, in the order of the requests, which must be the same in every process of the job.

    A completion depends on its request and the seed, so that it does not matter who makes it.
    """
    world = World()
    start, end = world.share(len(requests))
    mine = complete(generator, requests[start:end], sampling, stop, seed) if start < end else []
    return [one for part in world.gather_objects(mine) for one in part]
