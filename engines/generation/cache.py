"""Completions that any run can take again: one append-only file for each set of weights, sampling and seed.

What is generated goes to the file as each batch ends, so that a run that is killed loses only the batch in flight.
Grading is no part of it: the same completions can be graded again by other rules.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from engines.generation.append_only import append_lines, read_lines
from engines.generation.completion import Completion
from engines.generation.generator import Finished, Generator, Request
from engines.generation.keys import request_key, set_key
from engines.generation.lengths import LengthHistory
from engines.recipe.blocks import SamplingBlock

logger = logging.getLogger(__name__)

_FIELDS = {field.name for field in fields(Completion)}


class CachedGenerator:
    """A generator that first looks for each completion in the directory, and leaves there what it had to generate."""

    def __init__(self, inner: Generator, identity: str, directory: Path, history: LengthHistory) -> None:
        self.inner = inner
        self.identity = identity
        self.found = 0
        """Completions that were taken from the cache so far."""
        self._directory = directory
        self._history = history

    def stream(
        self, requests: Sequence[Request], sampling: SamplingBlock, stop: Sequence[str], seed: int
    ) -> Iterator[list[Finished]]:
        """What is known first, all at once; then the rest as it is generated. Each distinct request is generated once."""
        places: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            places.setdefault(request_key(request, sampling), []).append(index)
        path = self._directory / f"{set_key(self.identity, sampling, stop, seed)}.jsonl"
        known = read_completions(path, set(places))
        if known:
            yield [(index, completion) for key, completion in known.items() for index in places[key]]
        self.found += len(known)
        missing = [key for key in places if key not in known]
        wanted = [requests[places[key][0]] for key in missing]
        for batch in self.inner.stream(wanted, sampling, stop, seed) if wanted else ():
            try:
                append_completions(path, {missing[index]: completion for index, completion in batch})
                self._history.record([(wanted[index].prompt, len(made.token_ids)) for index, made in batch])
            except OSError as error:  # a full disk must not end what can go on without the cache
                logger.warning("%s: %d completions are not kept: %s", path, len(batch), error)
            yield [(place, made) for index, made in batch for place in places[missing[index]]]

    def close(self) -> None:
        self.inner.close()


def read_completions(path: Path, wanted: set[str]) -> dict[str, Completion]:
    """The completions of a file whose keys are wanted; what cannot be read is generated again."""
    found = {}
    try:
        for line in read_lines(path):
            key = line.pop("key", None)
            if key in wanted and line.keys() == _FIELDS:
                found[key] = Completion(**line)
    except OSError as error:
        logger.warning("%s cannot be read: %s", path, error)
    return found


def append_completions(path: Path, completions: dict[str, Completion]) -> None:
    append_lines(path, ({"key": key, **asdict(made)} for key, made in completions.items()))
