"""A question and two completions of it, in words and paint."""

from cockpit.compare_reads import Pairing
from cockpit.example_filter import kind_of
from cockpit.messages import ExampleRead
from cockpit.plain_text import plain_line, plain_lines
from cockpit.widgets.cells import Cell
from cockpit.word_diff import Run, word_diff
from store.results import ScoredExample

MOST_CHARACTERS = 40_000
"""Of a completion that are shown."""


def question_lines(read: ExampleRead) -> list[list[Cell]]:
    fields = _fields(read)
    question = [[(line, "")] for line in plain_lines(str(fields.get("question", "")))]
    gold: list[Cell] = [("gold answer ", "muted"), (plain_line(str(fields.get("gold", "")), 200), "strong")]
    return [*question, gold]


def sides(read: ExampleRead, pairing: Pairing, with_diff: bool) -> tuple[list[list[Cell]], list[list[Cell]]]:
    """The lines of both completions; with `with_diff` the words that only one has stand out."""
    texts = [_completion(example) for example in (read.baseline, read.entry)]
    found = word_diff(texts[0], texts[1]) if with_diff and read.baseline and read.entry else None
    runs = found or ([(texts[0], False)], [(texts[1], False)])
    note = "too long to compare word by word" if with_diff and found is None else ""
    names = (f"A  {pairing.baseline.label}", f"B  {pairing.entry.label}")
    first, second = (
        [*_facts(name, example, pairing.column.grader, note), [], *_painted(of)]
        for name, example, of in zip(names, (read.baseline, read.entry), runs, strict=True)
    )
    return first, second


def as_markdown(read: ExampleRead, pairing: Pairing) -> str:
    """The example for a report or an issue."""
    fields = _fields(read)
    parts = [
        f"### {plain_line(read.key[0], 200)}" + (f", sample {read.key[1] + 1}" if read.key[1] else ""),
        _fenced(str(fields.get("question", ""))),
        f"Gold answer: {plain_line(str(fields.get('gold', '')), 200)}",
    ]
    for label, example in ((pairing.baseline.label, read.baseline), (pairing.entry.label, read.entry)):
        if example is not None:
            verdict = "right" if _is_right(example, pairing.column.grader) else "wrong"
            told = plain_line(str(example.fields.get("extracted")), 200)
            parts += [
                f"**{plain_line(label, 200)}**: {verdict} ({pairing.column.grader}), extracted {told}",
                _fenced(_completion(example)),
            ]
    return "\n\n".join(parts) + "\n"


def _fields(read: ExampleRead) -> dict[str, object]:
    asked = read.baseline or read.entry
    return asked.fields if asked else {}


def _completion(example: ScoredExample | None) -> str:
    text = str(example.fields.get("completion", "")) if example else ""
    more = len(text) - MOST_CHARACTERS
    text = text[:MOST_CHARACTERS] + (f"\n... {more:,} more characters" if more > 0 else "")
    return "\n".join(plain_lines(text))


def _is_right(example: ScoredExample, grader: str) -> bool:
    return example.strict if grader == "strict" else example.robust


def _facts(label: str, example: ScoredExample | None, grader: str, note: str) -> list[list[Cell]]:
    """A model's name, its verdict and answer, and how it came about."""
    name: list[Cell] = [(plain_line(label, 200), "strong")]
    if example is None:
        return [name, [("This example is gone from the store.", "attention")]]
    fields = example.fields
    verdict: Cell = ("✓ right", "good") if _is_right(example, grader) else ("✗ wrong", "bad")
    extracted = fields.get("extracted")
    answer = "no answer found" if extracted is None else f"answered {plain_line(str(extracted), 60)}"
    method = plain_line(str(fields.get("method") or ""), 40)
    facts = [
        method,
        f"{fields['tokens']} tokens" if "tokens" in fields else "",
        "ambiguous" if fields.get("ambiguous") else "",
        "" if fields.get("terminated", True) else "cut off",
        kind_of(example).replace("_", " ").replace("truncated", ""),
        plain_line(str(fields.get("detail") or ""), 200),
        note,
    ]
    return [name, [verdict, (f"  {answer}", "")], [("  ".join(fact for fact in facts if fact), "muted")]]


def _painted(runs: list[Run]) -> list[list[Cell]]:
    lines: list[list[Cell]] = [[]]
    for text, is_own in runs:
        for index, piece in enumerate(text.split("\n")):
            if index:
                lines.append([])
            if piece:
                lines[-1].append((piece, "own" if is_own else ""))
    return lines


def _fenced(text: str) -> str:
    """A block of text as it is; the fence is longer than any in the text."""
    text = "\n".join(plain_lines(text))
    longest = max((len(run) for run in _backticks(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _backticks(text: str) -> list[str]:
    return [run for run in "".join(c if c == "`" else " " for c in text).split() if run]
