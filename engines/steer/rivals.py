"""What else could have brought a gain: the model that is not steered, helped in other ways, on the same questions.

A sentence in the prompt, which often does more than steering (AxBench, 2501.17148); a longer answer, since much of a gain
can be fewer answers that are cut off; and the first token that the steered model most often writes, since a vector can be
nothing but that (2509.06608). What is tried here cannot win. It stands beside the finalists with the same figures.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engines.generation.append_only import read_lines
from engines.generation.context import context_length
from engines.prompts.rendering import render_prompt, token_ids
from engines.recipe.blocks import SamplingBlock
from engines.steer.confirm import Confirmed, Finalist, judged
from engines.steer.items import Item, item
from engines.steer.journal import Batches, hash_of, kept_rows
from engines.steer.subject import Subject
from engines.tasks.example import Example
from engines.tasks.loading import data_hash


@dataclass(frozen=True, eq=False)
class Rival:
    """One way to help the unsteered model."""

    name: str
    sampling: SamplingBlock
    params: dict[str, Any] = field(default_factory=dict)
    put: Callable[[Example], str] | None = None
    """How it puts a question, where that is otherwise."""
    begun: str = ""
    """What all its answers begin with."""
    only_cut_off: bool = False
    """Whether it can change those answers alone that the length limit has cut off."""


def rivals(subject: Subject, found: Sequence[Finalist], unsteered: Sequence[Item]) -> list[Confirmed]:
    """All that the recipe asks for, on the confirm questions; leaves `rivals/NAME.items.jsonl`."""
    leader = found[0] if found and found[0].role == "tested" else None
    tried = []
    for rival in (_prompt(subject), _longer(subject), _first_token(subject, leader)):
        if rival is not None and _fits(subject, rival):
            one = Finalist(rival.name, "rival", None, rival.params, None, None)
            tried.append(judged(subject, one, found, _answers(subject, rival, unsteered), unsteered))
    return tried


def _prompt(subject: Subject) -> Rival | None:
    sentence = subject.recipe.controls.prompt
    if sentence is None:
        return None

    def put(example: Example) -> str:
        return render_prompt(subject.tokenizer, subject.spec, f"{example.question}\n{sentence}")

    return Rival("prompt", subject.recipe.greedy, {"prompt": sentence}, put=put)


def _longer(subject: Subject) -> Rival | None:
    factor = subject.recipe.controls.longer
    if factor is None:
        return None
    tokens = int(factor * subject.recipe.max_new_tokens)
    sampling = SamplingBlock(max_new_tokens=tokens)
    return Rival("longer", sampling, {"max_new_tokens": tokens}, only_cut_off=True)


def _first_token(subject: Subject, leader: Finalist | None) -> Rival | None:
    """None where there is no configuration that gained anything in the search, and so none to take a token from."""
    if not subject.recipe.controls.first_token or leader is None or leader.items is None:
        return None
    spec, tokenizer = subject.spec, subject.tokenizer
    openings: Counter[int] = Counter()
    for row in read_lines(subject.run.dir / leader.items):
        openings.update(token_ids(tokenizer, row["completion"].removeprefix(spec.prefill))[:1])
    if not openings:
        return None
    token = openings.most_common(1)[0][0]
    text = tokenizer.decode([token])
    prompts = [subject.prompt(example) for example in subject.splits.confirm]
    # Written as text, it must be read as that token: where a tokenizer joins it to the prompt, another one is forced.
    exact = sum(
        token_ids(tokenizer, prompt + text) == [*token_ids(tokenizer, prompt), token] for prompt in prompts
    )
    if exact < len(prompts):
        subject.run.events.message(
            f"`first_token`: {text!r} is read as that token behind {exact} of {len(prompts)} prompts",
            "warning",
        )
    sampling = SamplingBlock(max_new_tokens=max(1, subject.recipe.max_new_tokens - 1))
    return Rival("first_token", sampling, {"token": text, "read_so": exact}, begun=text)


def _fits(subject: Subject, rival: Rival) -> bool:
    """Whether the model's context has room for it; where not, that is said."""
    put = rival.put or subject.prompt
    prompts = (put(example) + rival.begun for example in subject.splits.confirm)
    longest = max(len(token_ids(subject.tokenizer, prompt)) for prompt in prompts)
    limit, wanted = context_length(subject.model.config), rival.sampling.max_new_tokens
    if limit is not None and longest + wanted > limit:
        subject.run.events.message(
            f"`controls.{rival.name}` is left out: {wanted} tokens after a prompt of {longest} exceed the model's "
            f"context of {limit}",
            "warning",
        )
        return False
    return True


def _answers(subject: Subject, rival: Rival, unsteered: Sequence[Item]) -> list[Item]:
    examples = subject.splits.confirm
    asked = [place for place, row in enumerate(unsteered) if not (rival.only_cut_off and row["terminated"])]

    def make(missing: list[int]) -> Batches:
        wanted = [(examples[asked[at]], 0, None) for at in missing]
        for batch in subject.answers(wanted, rival.sampling, rival.put, rival.begun):
            yield [
                (
                    missing[place],
                    item(row, subject.correct(row), unsteered[asked[missing[place]]]["completion"]),
                )
                for place, row in batch
            ]

    path = subject.run.dir / "rivals" / f"{rival.name}.items.jsonl"
    keys = [examples[place].id for place in asked]
    inputs = hash_of([subject.asked, rival.params, data_hash(examples)])
    own = dict(zip(asked, kept_rows(path, inputs, keys, make, subject.tick), strict=True))
    return [own.get(place, row) for place, row in enumerate(unsteered)]
