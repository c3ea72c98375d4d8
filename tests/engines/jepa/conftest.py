"""Tokenizers of three families, trained on the spot, with their own pre-tokenizers and templates; tiny models; rows."""

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


def rows(count: int = 3) -> list[Any]:
    """Rows of different lengths with 4, 2 and 3 steps behind prompts of 5 tokens and more."""
    import torch

    from engines.jepa.rows import Step, SteppedRow

    draw = torch.Generator().manual_seed(7)
    made = []
    for number in range(count):
        prompt, lengths = 5 + number, [[4, 3, 5, 2], [6, 4], [3, 3, 3]][number % 3]
        total = prompt + sum(lengths) + 2
        ids = torch.randint(5, 90, (total,), generator=draw).tolist()
        steps, start = [], prompt
        for length in lengths:
            steps.append(Step(start, start + length - 1, start + length))
            start += length
        labels = [-100] * prompt + ids[prompt:]
        made.append(SteppedRow(f"row-{number}", ids, labels, tuple(steps)))
    return made


@pytest.fixture
def stepped_rows_by_hand() -> list[Any]:
    return rows()


@pytest.fixture
def make_rows() -> Callable[[int], list[Any]]:
    """So many of them."""
    return rows


@pytest.fixture(scope="session")
def make_lm() -> Any:
    """Makes a random causal model of a family with a vocabulary of 96, hidden size 32 and two layers."""

    def make(family: str, attention: str = "sdpa", **options: Any) -> Any:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        sizes = {
            "vocab_size": 96,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "max_position_embeddings": 256,
            "initializer_range": 0.3,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        }
        if family == "gemma2":
            sizes |= {"sliding_window": 6, "query_pre_attn_scalar": 8, "final_logit_softcapping": 5.0}
        if family == "mistral":
            sizes |= {"sliding_window": 6}
        torch.manual_seed(0)
        config = AutoConfig.for_model(family, **{**sizes, **options})
        return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()

    return make


@pytest.fixture(scope="session")
def make_model(make_lm: Any) -> Any:
    """The same together with a predictor."""

    def make(family: str, attention: str = "sdpa", predictors: int = 2, **options: Any) -> Any:
        from engines.jepa.fields import JepaBlock
        from engines.jepa.model import JepaModel
        from engines.jepa.predictor import make_predictor

        lm = make_lm(family, attention, **options)
        block = JepaBlock(predictors=predictors)
        return JepaModel(lm, make_predictor(block, lm.get_input_embeddings(), seed=3))

    return make
