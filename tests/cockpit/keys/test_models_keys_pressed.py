"""Every key of models side by side: verdicts, examples, what differs, curves over each other."""

from typing import Any

import pytest

from store import lifecycle
from store.lifecycle import NewJob


def copied(what: str) -> Any:
    """A file of that name holds what was copied."""
    return lambda person: list((person.app.home / "exports").glob(f"*-{what}.md"))


def unmarked(person: Any) -> bool:
    """No word of the completion stands out."""
    return not any(
        paint == "own" for line in person.app.screen.query_one("#second")._lines for _, paint in line
    )


TO_THE_MODELS = [("", (), "full"), ("", "v", "▲ better")]

WALKS: dict[str, list[tuple[str, Any, Any]]] = {
    "two models and two seeds": [
        *TO_THE_MODELS,
        ("rows.first", "home", ("at", 0)),
        ("rows.down", "down", ("at", 1)),
        ("rows.up", "up", ("at", 0)),
        ("rows.down", "j", ("at", 1)),
        ("rows.up", "k", ("at", 0)),
        ("rows.last", "end", ("at", 2)),
        ("rows.first", "g", ("at", 0)),
        ("rows.last", "G", ("at", 2)),
        ("compare.seeds", "u", "tuned[seed=2]"),
        ("", "u", "tuned × 2 seeds"),
        ("compare.next-column", "right", "robust grading"),
        ("compare.previous-column", "left", "strict grading"),
        ("compare.next-column", "l", "robust grading"),
        ("compare.previous-column", "h", "strict grading"),
        ("compare.grader", "t", "robust grading"),
        ("", "t", "strict grading"),
        ("compare.all-cells", "m", "[57.5%"),
        ("", "m", ("gone", "[57.5%")),
        ("compare.export", "e", "Export into which directory?"),
        ("ask.back", "escape", ("gone", "Export into which directory?")),
        ("compare.copy", "y", copied("comparison")),
        ("", ("g", "j"), ("at", 1)),
        ("compare.diff", "d", "What differs:"),
        ("differences.copy", "y", copied("difference")),
        ("differences.back", "d", "strict grading"),
        ("", "d", "What differs:"),
        ("differences.back", "escape", "strict grading"),
        ("", "d", "What differs:"),
        ("differences.back", "backspace", "strict grading"),
        ("compare.curves", "c", "No training curves"),
        ("overlay.back", "c", "strict grading"),
        ("", "c", "No training curves"),
        ("overlay.back", "escape", "strict grading"),
        ("", "c", "No training curves"),
        ("overlay.back", "backspace", "strict grading"),
        ("rows.open", "enter", "only B right 24"),
        ("examples.back", "escape", "strict grading"),
        ("", "enter", "only B right 24"),
        ("examples.back", "backspace", "strict grading"),
        ("compare.baseline", "b", "◆ baseline full"),
    ],
    "examples": [
        *TO_THE_MODELS,
        ("", "enter", "1 of 24"),
        ("examples.next", "right", "2 of 24"),
        ("examples.next", "n", "3 of 24"),
        ("examples.next", "l", "4 of 24"),
        ("examples.previous", "left", "3 of 24"),
        ("examples.previous", "p", "2 of 24"),
        ("examples.previous", "h", "1 of 24"),
        ("examples.only-the-baseline-is-right", "1", "No example of this case."),
        ("examples.both-are-wrong", "3", "1 of 8"),
        ("examples.both-are-right", "4", "✓ right  answered 1"),
        ("examples.only-the-other-model-is-right", "2", "1 of 24"),
        ("examples.diff", "d", unmarked),
        ("examples.kind", "c", "mistake: "),
        ("examples.kind-before", "C", ("gone", "mistake: ")),
        ("examples.copy", "y", copied("example")),
        ("examples.search", "slash", "text in the question or a completion"),
        ("", (*"IS 2", "enter"), "with `IS 2`"),
    ],
}


@pytest.mark.parametrize("name", WALKS)
def test_each_key_of_a_comparison_does_what_it_says(name: str, walk: Any, bench: Any) -> None:
    new = [NewJob(name, "eval", {"engine": "eval", "note": name}) for name in ("base", "full")]
    seeds = [NewJob(f"tuned[seed={seed}]", "eval", {"engine": "eval", "seed": seed}) for seed in (1, 2)]
    lifecycle.enqueue(bench.database, "demo", [*new, *(seeds if "seeds" in name else [])])
    rights = [lambda index: index % 5 == 0, lambda index: index % 5 != 1, lambda index: index % 2 == 0, lambda index: index % 3 != 0]  # fmt: skip
    for is_right in rights[: 4 if "seeds" in name else 2]:
        number = bench.start()
        bench.score(number, [is_right(index) for index in range(40)])
        bench.finish(number)
    walk(WALKS[name], size=(120, 40))
