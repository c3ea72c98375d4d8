"""Completions of the policy in training, by the generators that every engine has, and what they earn."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engines.distributed.world import World
from engines.generation.completion import Completion
from engines.generation.generator import Generator, Request, complete
from engines.ppo.batches import Row
from engines.ppo.fields import RewardBlock
from engines.prompts.rendering import render_prompt, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.suite.item import Item, SuiteGrade

_GRADED_AT_ONCE = 8

Grader = Callable[[Item, str], SuiteGrade]


class Rollout:
    """Asks questions and grades the answers; each process its share, after which all have all of them."""

    def __init__(
        self,
        generator: Generator,
        tokenizer: Any,
        spec: PromptSpec,
        reward: RewardBlock,
        grade: Grader,
        seed: int,
        world: World,
    ) -> None:
        self._spec = spec
        self._generator = generator
        self._tokenizer = tokenizer
        self._reward = reward
        self._grade = grade
        self._seed = seed
        self._world = world
        self._prompts: dict[str, str] = {}

    def rows(
        self, drawn: Mapping[int, Sequence[Item]], samples: int, sampling: SamplingBlock, number: str
    ) -> list[Row]:
        """`samples` completions of each question, by unit. `number` says where in the run: it makes the noise."""
        asked = [(unit, item) for unit, items in drawn.items() for item in items]
        mine = range(self._world.rank, len(asked), self._world.size)
        requests = [
            Request(self.prompt(asked[place][1]), sample) for place in mine for sample in range(samples)
        ]
        completions = complete(self._generator, requests, sampling, self._spec.stop, self._noise(number))
        places = [place for place in mine for _ in range(samples)]
        items = [asked[place][1] for place in places]
        # Graders of programs wait for processes; threads let several wait at once.
        with ThreadPoolExecutor(_GRADED_AT_ONCE) as pool:
            grades = list(pool.map(self._grade, items, [made.text for made in completions]))
        made = [
            (place, self._row(*asked[place], place, completion, grade))
            for place, completion, grade in zip(places, completions, grades, strict=True)
        ]
        everything = [pair for part in self._world.gather_objects(made) for pair in part]
        return [row for _, row in sorted(everything, key=lambda pair: pair[0])]

    def prompt(self, item: Item) -> str:
        """The question as the model reads it."""
        if item.uid not in self._prompts:
            self._prompts[item.uid] = render_prompt(self._tokenizer, self._spec, item.prompt)
        return self._prompts[item.uid]

    def length(self, item: Item) -> int:
        """Tokens of the question as the model reads it."""
        return len(token_ids(self._tokenizer, self.prompt(item)))

    def _row(self, unit: int, item: Item, group: int, completion: Completion, grade: SuiteGrade) -> Row:
        fallback = grade.lenient and not grade.correct
        return Row(
            item=item,
            unit=unit,
            group=group,
            prompt_ids=token_ids(self._tokenizer, self.prompt(item)),
            response_ids=completion.token_ids,
            reward=reward_of(grade, self._reward),
            score=grade.score,
            truncated=not completion.terminated,
            outcome=grade.outcome,
            fallback=fallback,
            in_format=grade.in_format,
            sampled_logps=completion.logprobs,
        )

    def _noise(self, number: str) -> int:
        digest = hashlib.sha256(f"{self._seed}/{number}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1


def reward_of(grade: SuiteGrade, block: RewardBlock) -> float:
    """What a graded completion earns in training. A grader's error earns nothing, and its row is left out of the losses."""
    earned = grade.score if block.partial_credit else float(grade.correct)
    if block.lenient and grade.lenient:
        earned = 1.0
    return earned + block.format_bonus * grade.in_format
