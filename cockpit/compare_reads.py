"""What the compare and example screens show, read from the store. The feed calls these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cockpit import comparison
from cockpit.comparison import Comparison, Entry
from cockpit.messages import ComparisonRead, ExampleRead
from cockpit.parts import Column, cells_of, domains_of
from cockpit.seeds import folded
from store import jobs, results
from store.database import Database, StoreError
from store.results import ScoredExample

CASES = ("only baseline right", "only this right", "both wrong", "both right")


class ComparisonReader:
    """Compares again only when a score has changed: outcomes of thousands of examples are not read twice a second."""

    def __init__(self, job_ids: Sequence[int], baseline_id: int | None) -> None:
        self._job_ids, self._baseline_id = list(job_ids), baseline_id
        self._seen: object = None
        self._message: ComparisonRead | None = None

    def __call__(self, database: Database) -> ComparisonRead:
        try:
            ids = _wanted(database, self._job_ids)
            signature = (ids, jobs.count_by_status(database), results.list_scores(database, ids))
            if self._message is None or signature != self._seen:
                self._message, self._seen = _compare(database, ids, self._baseline_id), signature
        except StoreError as error:
            return ComparisonRead(None, str(error))
        return self._message


def _wanted(database: Database, job_ids: list[int]) -> list[int]:
    """Several jobs as they are; a single one stands for all evaluations of its experiment."""
    if len(job_ids) > 1:
        return job_ids
    experiment_id = jobs.get_job(database, job_ids[0]).experiment_id
    return comparison.evaluations_of(database, experiment_id) or job_ids


def _compare(database: Database, ids: list[int], baseline_id: int | None) -> ComparisonRead:
    """Jobs that cannot be compared are named and left out, so that the others can."""
    usable: list[int] = []
    left_out: list[str] = []
    for job_id in ids:
        try:
            usable.append(comparison.load_entry(database, job_id).job.id)
        except StoreError as error:
            left_out.append(str(error).partition("\n")[0])
    if not usable:
        return ComparisonRead(None, "\n".join(left_out) or "no evaluation has ended yet")
    # One that was chosen long ago may have been removed since.
    chosen = baseline_id if baseline_id in usable else None
    table = comparison.compare(database, usable, chosen)
    cells = cells_of(table)
    return ComparisonRead(table, "\n".join(left_out), cells, folded(table, cells))


@dataclass(frozen=True)
class Pairing:
    """The completions of two models for the same questions, by who was right, under a grader and of a part."""

    baseline: Entry
    entry: Entry
    column: Column
    domains: Mapping[str, str]

    def cases(self) -> list[list[tuple[str, int]]]:
        """The (example id, sample) of each of CASES, in order."""
        first, second = (one.outcomes[self.column.grader] for one in (self.baseline, self.entry))
        found: list[list[tuple[str, int]]] = [[] for _ in CASES]
        for key in sorted(first.keys() & second.keys(), key=_natural):
            if self.column.has(key[0], self.domains):
                right = first[key], second[key]
                case = {(True, False): 0, (False, True): 1, (False, False): 2, (True, True): 3}[right]
                found[case].append(key)
        return found


def pairing(table: Comparison, entry: Entry, column: Column) -> Pairing:
    return Pairing(table.baseline, entry, column, domains_of(table))


def _natural(key: tuple[str, int]) -> tuple[str, int, int]:
    """`test-9` before `test-10`."""
    stem, _, number = key[0].rpartition("-")
    return (stem, int(number), key[1]) if number.isdecimal() else (key[0], 0, key[1])


def read_example(database: Database, job_ids: tuple[int, int], key: tuple[str, int]) -> ExampleRead:
    found: list[ScoredExample | None] = [
        results.get_example(database, job_id, key[0], key[1]) for job_id in job_ids
    ]
    return ExampleRead(key, found[0], found[1])
