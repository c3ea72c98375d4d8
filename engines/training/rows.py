"""Training rows: token ids and labels of prompt and completion, with the loss on the completion alone.

We tokenise here rather than let TRL do it, so that every row is checked before training; a test proves that the
ids and labels are those that TRL builds from the same conversations.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from engines.prompts.rendering import render_row, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import TracesBlock
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.tasks.answers import parse_number
from engines.tasks.example import Example
from engines.tasks.gsm8k import strip_calculator_marks
from engines.tasks.splits import question_key
from engines.tasks.teacher import RESPONSE, Fault, Solution, solution_of
from engines.training.preflight import check_prompt_is_prefix, check_single_bos, own_bos

STATISTICS_SUFFIX = ".stats.json"
"""What the name of a file of traces goes on with in the name of its statistics, which are written last."""

_TRACE = 'a line looks like {"question": "...", "answer": "<reasoning>\\n\\n#### 42"}'
_REPLY = f'a line looks like {{"question": "...", "ground_truth": "42", "{RESPONSE}": "... \\\\boxed{{42}}"}}'

IGNORED = -100
"""The label of a token that bears no loss."""


@dataclass(frozen=True)
class TrainingRow:
    """One example as the model sees it."""

    id: str
    input_ids: list[int]
    labels: list[int]

    @property
    def prompt_length(self) -> int:
        return next((index for index, label in enumerate(self.labels) if label != IGNORED), len(self.labels))


def tokenize_rows(tokenizer: Any, spec: PromptSpec, examples: Sequence[Example]) -> list[TrainingRow]:
    """The rows of the examples. The prompt's tokens are exactly those that generation starts from."""
    return [
        tokenize_row(tokenizer, example.id, *render_row(tokenizer, spec, example)) for example in examples
    ]


def tokenize_row(tokenizer: Any, example_id: str, prompt: str, completion: str) -> TrainingRow:
    """The row of a rendered example."""
    prompt_ids, input_ids = token_ids(tokenizer, prompt), token_ids(tokenizer, prompt + completion)
    check_prompt_is_prefix(prompt_ids, input_ids, example_id)
    check_single_bos(input_ids, own_bos(tokenizer), example_id)
    labels = [IGNORED] * len(prompt_ids) + input_ids[len(prompt_ids) :]
    return TrainingRow(example_id, input_ids, labels)


def as_dataset(rows: Sequence[TrainingRow]) -> Dataset:
    """The rows as TRL takes them: tokenised, with labels."""
    return Dataset.from_dict(
        {"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]}
    )


def traces_file(block: TracesBlock, run: Run) -> Path:
    """The file that a recipe names, or the one that another job left: the JSONL with statistics beside it."""
    if block.from_ is None:
        return Path(str(block.path)).expanduser()
    directory = run.inputs.get(block.from_)
    if directory is None:
        raise RecipeError(
            f"traces.from: `{block.from_}` is not an input of this job (it has: "
            f"{', '.join(sorted(run.inputs)) or 'none'})",
            hint="name a job of the same recipe that generates traces",
        )
    statistics = sorted(directory.glob(f"*{STATISTICS_SUFFIX}"))
    if not statistics:
        raise RecipeError(
            f"traces.from: job `{block.from_}` left no traces in {directory}", hint="retry that job"
        )
    return statistics[0].with_name(statistics[0].name.removesuffix(STATISTICS_SUFFIX))


def read_traces(
    path: Path, held_out: Sequence[Example], tell: Callable[[str], None] | None = None
) -> list[Example]:
    """Training examples from a JSONL file of {"question", "answer": "<reasoning>\\n\\n#### 42"} or of a teacher's replies.

    `tell` is told how many replies were not kept, and why; see `engines.tasks.teacher`.
    """
    if not path.is_file():
        raise RecipeError(f"traces: there is no file `{path}`", hint="give the path of a JSONL file")
    forbidden = {question_key(example.question) for example in held_out}
    examples = []
    faults: Counter[str] = Counter()
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        question, solution = _parse_trace(line, f"{path}:{number}")
        if question_key(question) in forbidden:
            raise RecipeError(
                f"{path}:{number}: this question is in the task's dev or test split, and must not be trained on",
                hint="make traces from the `train` split only",
            )
        if isinstance(solution, Solution):
            examples.append(Example(f"trace-{number}", question, solution.reasoning, solution.answer))
        else:
            faults[solution] += 1
    reasons = ", ".join(f"{count} {fault}" for fault, count in faults.most_common())
    if not examples:
        if faults:
            raise RecipeError(
                f"traces: `{path}` has no reply that can be trained on ({reasons})",
                hint="a reply is kept where the number in its last \\boxed{} is the ground truth",
            )
        raise RecipeError(f"traces: `{path}` is empty", hint=_TRACE)
    if faults and tell is not None:
        tell(
            f"traces: {faults.total()} of {faults.total() + len(examples)} replies are not trained on: {reasons}"
        )
    return examples


def _parse_trace(line: str, where: str) -> tuple[str, Solution | Fault]:
    """A line's question, and its solution or why it has none."""
    try:
        fields = json.loads(line)
        if RESPONSE in fields:
            return _parse_reply(fields, where)
        question, text = fields["question"].strip(), fields["answer"]
        reasoning, mark, answer = text.rpartition("####")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecipeError(f"{where}: is not an object with `question` and `answer`", hint=_TRACE) from error
    answer = answer.strip().replace(",", "")
    if not mark or parse_number(answer) is None:
        raise RecipeError(f"{where}: the answer does not end in `#### <number>`", hint=_TRACE)
    return question, Solution(strip_calculator_marks(reasoning).strip(), answer)


def _parse_reply(fields: dict[str, Any], where: str) -> tuple[str, Solution | Fault]:
    """The same for a line of a teacher's replies."""
    try:
        return fields["question"].strip(), solution_of(fields)
    except ValueError as error:
        raise RecipeError(f"{where}: {error}", hint=_REPLY) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise RecipeError(f"{where}: lacks a text among those of a teacher's reply", hint=_REPLY) from error


def describe_rows(tokenizer: Any, spec: PromptSpec, rows: Sequence[TrainingRow], shown: int = 3) -> str:
    """For people: how much is trained on, what the tags cost, and the first rows with the trained part marked."""
    lengths = [len(row.input_ids) for row in rows]
    trained = [len(row.input_ids) - row.prompt_length for row in rows]
    tags = {tag: len(token_ids(tokenizer, tag)) for tag in spec.tags}
    lines = [
        f"rows: {len(rows)}",
        f"tokens: {sum(lengths)} (shortest {min(lengths)}, longest {max(lengths)})",
        f"tokens with loss: {sum(trained)} (fewest {min(trained)}, most {max(trained)})",
        f"tokens per tag: {', '.join(f'{tag} {count}' for tag, count in tags.items())}",
    ]
    for row in rows[:shown]:
        prompt = tokenizer.decode(row.input_ids[: row.prompt_length])
        completion = tokenizer.decode(row.input_ids[row.prompt_length :])
        lines += ["", f"--- {row.id}: prompt", prompt, "--- trained on", completion]
    return "\n".join(lines) + "\n"
