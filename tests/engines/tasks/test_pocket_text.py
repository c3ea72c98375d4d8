import re

from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import TaskBlock
from engines.tasks.loading import load_examples, plain_text
from engines.tasks.word_problems import NAMES

TASK = TaskBlock(name="pocket-math")


def joined(count: int) -> str:
    documents = plain_text(TASK, count, 1)
    return "\n".join(text if isinstance(text, str) else "\n".join(text) for text in documents)


def test_the_text_is_the_same_every_time_and_depends_on_the_seed() -> None:
    assert plain_text(TASK, 50, 1) == plain_text(TASK, 50, 1) != plain_text(TASK, 50, 2)


def test_every_sum_in_it_is_true() -> None:
    sums = re.findall(r"(\d+)([-+*/])(\d+)=(\d+)", joined(2000))
    assert len(sums) > 2000
    for a, sign, b, c in sums:
        assert int(a) == {"+": int(c) - int(b), "-": int(c) + int(b), "/": int(c) * int(b)}.get(sign, int(a))
        assert sign != "*" or int(a) * int(b) == int(c)


def test_it_shows_neither_the_answer_format_nor_a_held_out_question() -> None:
    text = joined(5000)
    assert not any(tag in text for tag in PromptSpec().tags)
    held_out = [example.question for split in ("dev", "test") for example in load_examples(TASK, split)]
    assert not [question for question in held_out if question in text]
    assert sum(example.question in text for example in load_examples(TASK, "train")[:200]) > 0


def test_replies_repeat_what_was_said_or_put_a_phrase_in_figures() -> None:
    replies = [document for document in plain_text(TASK, 5000, 1) if isinstance(document, tuple)]
    assert len(replies) > 1000
    for said, reply in replies:
        assert (
            reply in said or set(re.findall(r"\d+", reply)) <= set(re.findall(r"\d+", said)) or "=" in reply
        )
        assert "=" not in reply or not said.startswith(("There", *NAMES))
