"""Models that differ in their seed alone, as one row."""

import random

import pytest

from cockpit import comparison
from cockpit.parts import Cells, Column, cells_of
from cockpit.seeds import folded, groups_of
from engines.statistics.crossed import mean_over, paired
from store import lifecycle, records
from store.database import Database
from store.lifecycle import NewJob, Outcome
from store.schema import Status

N = 60


def evaluations(database: Database, **right: str) -> list[int]:
    """One experiment; by job name (`_` stands before the seed) a 1 or 0 for each question."""
    names = [name.replace("_", "[seed=") + ("]" if "_" in name else "") for name in right]
    _, ids = lifecycle.enqueue(database, "demo", [NewJob(name, "eval", {}) for name in names])
    for job_id, bits in zip(ids, right.values(), strict=True):
        lifecycle.claim(database, 99, [])
        events: list[records.Event] = []
        for place, bit in enumerate(bits):
            example = {"example_id": f"q{place}", "sample": 0, "strict": bit == "1", "robust": True}
            events.append({"kind": "example", "time": 0.0, "key": f"q{place}/0", "fields": example})
        fields = {"n": len(bits), "low": 0.0, "high": 1.0, "protocol": {"task": "t"}}
        value = bits.count("1") / len(bits)
        events.append({"kind": "score", "time": 0.0, "name": "strict", "value": value, "fields": fields})
        records.record(database, job_id, 0, 1, events)
        lifecycle.finish(database, job_id, Outcome(Status.SUCCEEDED, 0, None))
    return ids


def drawn(seed: int, share: float) -> str:
    draw = random.Random(seed)
    return "".join(str(int(draw.random() < share)) for _ in range(N))


def fold(database: Database, ids: list[int]) -> tuple[comparison.Comparison, Cells] | None:
    table = comparison.compare(database, ids)
    return folded(table, cells_of(table))


def rows(*texts: str) -> list[list[float]]:
    return [[float(bit) for bit in text] for text in texts]


def test_seeds_are_one_row_with_a_band_and_a_verdict_over_seeds_and_questions(database: Database) -> None:
    base, seeds = drawn(0, 0.3), [drawn(seed, 0.8) for seed in (1, 2, 3)]
    ids = evaluations(database, base=base, full_1=seeds[0], full_2=seeds[1], full_3=seeds[2])
    found = fold(database, ids)
    assert found is not None
    table, cells = found
    cell = cells[ids[1], Column("strict")]
    expected, against = mean_over(rows(*seeds)), paired(rows(base, base, base), rows(*seeds))
    shares = [text.count("1") / N for text in seeds]

    assert [entry.label for entry in table.entries] == ["base", "full × 3 seeds"]
    assert cell.share == pytest.approx(expected.value)
    assert (cell.low, cell.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert cell.band == (pytest.approx(min(shares)), pytest.approx(max(shares)))
    assert cell.verdict is not None
    assert (cell.verdict.text, cell.verdict.seeds, cell.verdict.p) == ("better", 3, pytest.approx(against.p))
    assert table.verdict(table.entries[1], "strict") == cell.verdict
    alone = cells[ids[0], Column("strict")]
    assert (alone.low, alone.high, alone.band) == (0.0, 1.0, None)  # as its evaluation reported them


def test_methods_of_several_seeds_are_paired_seed_by_seed(database: Database) -> None:
    texts = {
        f"{name}_{seed}": drawn(seed, share) for name, share in (("a", 0.4), ("b", 0.5)) for seed in (1, 2)
    }
    ids = evaluations(database, **texts, b_9=drawn(9, 0.5))
    found = fold(database, ids)
    assert found is not None
    [verdict] = [v for v in found[0].verdicts if v.grader == "strict"]
    against = paired(rows(texts["a_1"], texts["a_2"]), rows(texts["b_1"], texts["b_2"]))

    assert (verdict.seeds, verdict.difference) == (2, pytest.approx(against.value))
    assert verdict.resolvable == pytest.approx(against.resolvable)


def test_what_cannot_be_compared_in_one_seed_is_refused_for_all(database: Database) -> None:
    ids = evaluations(database, base="1" * 20, full_1="1" * 20, full_2="1" * 10)
    found = fold(database, ids)

    assert found is not None
    assert "different questions" in found[0].verdicts[0].text


def test_without_seeds_nothing_is_folded_and_a_seed_that_is_there_twice_stands_alone(
    database: Database,
) -> None:
    ids = evaluations(database, base="10", full_1="11")
    assert fold(database, ids) is None

    again = evaluations(database, full_1="11")
    groups = groups_of(comparison.compare(database, [*ids, *again]))
    assert [len(group.members) for group in groups] == [1, 1, 1]
