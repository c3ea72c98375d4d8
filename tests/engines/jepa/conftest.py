"""Tokenizers of three families, trained on the spot: their own pre-tokenizers and templates, a vocabulary of ours."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from engines.prompts.spec import PromptSpec
from engines.tasks.example import Example

HERE = Path(__file__).parent
FAMILIES = ("llama3", "qwen", "gemma")

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SENTENCE_PIECES = r"▁?\p{L}+|\p{N}|▁?[^▁\s\p{L}\p{N}]+|\n+|▁+"
_SPECIAL = {
    "llama3": [
        *("<|begin_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>", "<|start_header_id|>", "<|end_header_id|>")
    ],
    "qwen": ["<|endoftext|>", "<|im_end|>", "<|fim_pad|>", "<|im_start|>"],
    "gemma": ["<bos>", "<end_of_turn>", "<pad>", "<start_of_turn>"],
}  # fmt: skip

EXAMPLES = [
    Example(
        "boxes",
        "Mia packs 4 boxes with 6 pens each and gives 5 pens away. How many pens are left?",
        "Mia packs 4 * 6 = 24 pens.\n\nShe gives 5 pens away, so 24 - 5 = 19 pens are left.\n\n"
        "So the answer is 19.",
        "19",
    ),
    Example(
        "snow",
        "Snow falls for 3 hours at 2.5 cm an hour, then melts by half. How deep is it?",
        "It falls 3 * 2.5 = 7.5 cm.\n\nHalf of it melts: 7.5 / 2 = 3.75 cm ☃\n\nIt is 3.75 cm deep!",
        "3.75",
    ),
    Example("one", "What is 2 + 3?", "2 + 3 = 5.", "5"),
]


def _byte_level(family: str) -> Tokenizer:
    bpe = Tokenizer(models.BPE())
    if family == "qwen":
        bpe.normalizer = normalizers.NFC()
    words = _WORDS.replace("DIGITS", "{1,3}" if family == "llama3" else "")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.post_processor = processors.ByteLevel(trim_offsets=family == "llama3")
    return bpe


def _sentence_piece(texts: Iterable[str], trainer: trainers.BpeTrainer) -> Tokenizer:
    """As Gemma has it: blanks are `▁`, unknown characters are bytes, and nothing cuts the text before the merges."""
    bpe = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    bpe.normalizer = normalizers.Replace(" ", "▁")
    bpe.pre_tokenizer = pre_tokenizers.Split(Regex(_SENTENCE_PIECES), "isolated")
    bpe.train_from_iterator(texts, trainer)
    fields = json.loads(bpe.to_str())
    vocabulary = fields["model"]["vocab"]
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    bpe = Tokenizer.from_str(json.dumps(fields))
    bpe.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    bpe.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return bpe


def train_tokenizer(family: str, texts: list[str], size: int) -> Any:
    special = _SPECIAL[family]
    options: dict[str, Any] = {"vocab_size": size, "show_progress": False}
    if family == "gemma":
        bpe = _sentence_piece(texts, trainers.BpeTrainer(special_tokens=["<unk>", *special], **options))
    else:
        bpe = _byte_level(family)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        bpe.train_from_iterator(
            texts, trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, **options)
        )
    template = (HERE / "templates" / f"{family}.jinja").read_text()
    bos = None if family == "qwen" else special[0]
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=bos,
        eos_token=special[1],
        pad_token=special[2],
        chat_template=template,
    )


@pytest.fixture(scope="session")
def make_tokenizer() -> Callable[[str, list[str], int], Any]:
    """Trains a tokenizer of a family on texts, to a size of vocabulary."""
    return train_tokenizer


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    return EXAMPLES


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def tokenizer(family: str) -> Any:
    """Of the family, small, and with a token for a full stop and the blank line behind it."""
    spec = PromptSpec()
    texts = [
        f"{one.question}\n\n{spec.completion(one.reasoning, one.answer)}"
        for one in EXAMPLES
        if one.id != "snow"
    ]
    return train_tokenizer(family, [spec.system, *texts] * 8, 640)
