"""Attempts at questions: which count as solved, and a journal that keeps every one of them, the wrong ones too."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.generation.append_only import append_lines, read_lines
from engines.generation.completion import Completion
from engines.prompts.spec import PromptSpec
from engines.tasks.example import Example
from engines.tasks.grading import grade

FILE_NAME = "attempts.jsonl"

_OPENING = re.compile(r"^well\s*(?:\.\.\.|…)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Attempt:
    """One line of the journal."""

    id: str
    """The example's."""
    attempt: int
    """From 1; the hinted one stands apart and is number 1 too."""
    hinted: bool
    question: str
    gold: str
    completion: str
    """Prefill and generation together: what was graded."""
    terminated: bool
    tokens: int
    solved: bool
    """Strictly right, stopped by itself, and with reasoning that can be taken out."""
    robust: bool
    ambiguous: bool
    in_format: bool
    """Reasoning and one closed answer, right or wrong."""
    reasoning: str | None

    @property
    def key(self) -> tuple[str, int, bool]:
        return self.id, self.attempt, self.hinted


def judge(
    example: Example, number: int, hinted: bool, text: str, terminated: bool, tokens: int, spec: PromptSpec
) -> Attempt:
    """Grade one attempt. Reasoning that cannot be taken out is a failure, however right the answer is."""
    verdict = grade(text, example.answer, spec, terminated)
    reasoning = plain_reasoning(verdict.thinking or "")
    in_format = bool(reasoning) and verdict.has_answer and verdict.method == "solution"
    return Attempt(
        id=example.id,
        attempt=number,
        hinted=hinted,
        question=example.question,
        gold=example.answer,
        completion=text,
        terminated=terminated,
        tokens=tokens,
        solved=verdict.strict and terminated and bool(reasoning),
        robust=verdict.robust,
        ambiguous=verdict.ambiguous,
        in_format=in_format and not verdict.repeated_tag,
        reasoning=reasoning or None,
    )


def judge_completion(
    example: Example, number: int, hinted: bool, completion: Completion, spec: PromptSpec
) -> Attempt:
    text = spec.prefill + completion.text
    return judge(example, number, hinted, text, completion.terminated, len(completion.token_ids), spec)


def plain_reasoning(thinking: str) -> str:
    """Without the "well..." that some training data opens with, and that traces of it would double."""
    return _OPENING.sub("", thinking.strip()).strip()


class Journal:
    """Every attempt of a job by its key, appended as it is made. What a kill cut short is not there."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / FILE_NAME

    def read(self, examples: Sequence[Example], spec: PromptSpec) -> dict[tuple[str, int, bool], Attempt]:
        """What was kept, graded by today's rules, so that one file is never graded by two."""
        by_id = {example.id: example for example in examples}
        found = (
            judge(by_id[line["id"]], line["attempt"], line["hinted"], line["completion"], *_ended(line), spec)
            for line in read_lines(self._path)
            if line["id"] in by_id
        )
        return {attempt.key: attempt for attempt in found}

    def append(self, attempts: Iterable[Attempt]) -> None:
        append_lines(self._path, map(asdict, attempts))


def journaled(run_dir: Path) -> int:
    """How many attempts an earlier try has kept."""
    return len({(line["id"], line["attempt"], line["hinted"]) for line in read_lines(run_dir / FILE_NAME)})


def _ended(line: dict[str, object]) -> tuple[bool, int]:
    return bool(line["terminated"]), int(str(line["tokens"]))
