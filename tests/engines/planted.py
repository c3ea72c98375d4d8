"""A model in which the truth about steering is known: which layer, which direction, which sign, how strongly.

A Llama whose weights are written by hand, so that any engine can load it from its directory. Asked `ask n7 red seven =`, it
answers 7, or 8 where its trust is too low or too high, and then ends. All happens in the residual stream, at `u`:

block 0      looks the question up: the number asked for, the colour (+1 or -1), and what the name is worth (-3 to 3)
blocks 1, 2  erase u, so that steering before block 3 comes to nothing
block 3      writes u: what the name is worth, and on an answer's digit +2 where it is right and -2 where it is wrong
block 4      turns 0 < u < 9 into the verdict, times the colour, and erases u
block 5      answers with the number asked for, or with the one after it, by verdict and colour

So half of the questions are answered right. Along +u at the output of block 3, a push of 3.3 to 5.7 answers all of them
right, and one beyond 12 none. Of right and wrong answers, u tells at block 3 only: before, nothing is there yet;
after, the verdict's sign is the colour's. Sampling at temperature 0.7 takes the other number one time in five.
"""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

LAYER = 3
LAYERS = 6
SIZE = 256
U = 39
"""Dimension of the planted direction."""
BEST = (3.3, 5.7)
"""Pushes along +u, in the activations' own units, that answer every question right."""
LOW, HIGH = 0.0, 9.0

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAMES = tuple(f"n{place}" for place in range(20))
WORTH = tuple(-3.0 + 6.0 * place / 19 for place in range(20))
TOKENS = ("<pad>", "<end>", "<unk>", "=", "ask", "red", "blue", *map(str, range(10)), *WORDS, *NAMES)
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ '= ' + message['content'] + ' <end>' }}"
    "{% else %}{{ message['content'] + ' ' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '= ' }}{% endif %}"
)

# Dimensions: a constant that keeps the norm of every token at 6 units, what a token is, and what is worked out.
ONE, DIGIT, WORD, COLOUR, NAME = slice(0, 4), 4, 14, 24, 25
ASKED, ASKED_COLOUR, ASKED_NAME, VERDICT, OUT = 27, 37, 38, 40, 41
_RMS = 6.0
_CONSTANT = _RMS * SIZE**0.5 / 2
_OPEN = 10 / (1 + torch.exp(torch.tensor(-10.0))).item()
"""What a gate of 10 lets through."""
_PROMPT = 5
"""Tokens of a prompt: what block 0 averages over."""


class Units:
    """Hidden units of one block's MLP: each is silu(gate) * up, of features in the stream's own units."""

    def __init__(self, block: torch.nn.Module) -> None:
        self.mlp, self.used = block.mlp, 0

    def add(self, gate: dict[int | str, float], up: dict[int | str, float], down: dict[int, float]) -> None:
        for layer, features in ((self.mlp.gate_proj, gate), (self.mlp.up_proj, up)):
            for feature, weight in features.items():
                if feature == "one":
                    layer.weight.data[self.used, ONE] += weight * _RMS / (4 * _CONSTANT)
                else:
                    layer.weight.data[self.used, feature] += weight * _RMS
        for feature, weight in down.items():
            self.mlp.down_proj.weight.data[feature, self.used] += weight
        self.used += 1

    def copy(self, source: dict[int | str, float], target: dict[int, float]) -> None:
        """A linear map: the gate is open whatever comes."""
        self.add({"one": 10.0}, source, {feature: weight / _OPEN for feature, weight in target.items()})


def build(directory: Path) -> Path:
    """Write the model and its tokenizer."""
    vocabulary = Tokenizer(
        models.WordLevel({token: place for place, token in enumerate(TOKENS)}, unk_token="<unk>")
    )
    vocabulary.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=vocabulary,
        pad_token="<pad>",
        eos_token="<end>",
        unk_token="<unk>",
        chat_template=TEMPLATE,
    )
    tokenizer.save_pretrained(directory)
    config = LlamaConfig(
        vocab_size=len(TOKENS), hidden_size=SIZE, intermediate_size=128, num_hidden_layers=LAYERS,
        num_attention_heads=1, num_key_value_heads=1, head_dim=SIZE, max_position_embeddings=256,
        tie_word_embeddings=False, eos_token_id=1, pad_token_id=0, bos_token_id=None, rms_norm_eps=1e-6,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            parameter.data.zero_()
    _embed(model)
    for number, block in enumerate(model.model.layers):
        units = Units(block)
        (_look_up, _erase, _erase, _write, _judge, _answer)[number](block, units)
    _read_out(model)
    model.save_pretrained(directory)
    return directory


def write_questions(directory: Path) -> Path:
    """All 400 questions in GSM8K's form, 280 to train on and 120 to test on; names, colours and numbers are spread evenly."""
    directory.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for place, name in enumerate(NAMES):
        for shift, colour in ((0, "red"), (5, "blue")):
            for number, word in enumerate(WORDS):
                row = {"question": f"ask {name} {colour} {word}", "answer": f"{word}\n#### {number}"}
                split = "train" if (number + 3 * place + shift) % 10 < 7 else "test"
                lines[split].append(json.dumps(row) + "\n")
    for split, rows in lines.items():
        (directory / f"{split}.jsonl").write_text("".join(rows))
    return directory


def _embed(model: LlamaForCausalLM) -> None:
    rows = model.model.embed_tokens.weight.data
    rows[:, ONE] = _CONSTANT
    for number in range(10):
        rows[TOKENS.index(str(number)), DIGIT + number] = 1.0
        rows[TOKENS.index(WORDS[number]), WORD + number] = 1.0
    rows[TOKENS.index("red"), COLOUR], rows[TOKENS.index("blue"), COLOUR] = 1.0, -1.0
    for name, worth in zip(NAMES, WORTH, strict=True):
        rows[TOKENS.index(name), NAME] = worth


def _look_up(block: torch.nn.Module, _units: Units) -> None:
    """Queries and keys are 0, so attention is the mean over the text."""
    pairs = [(WORD + number, ASKED + number) for number in range(10)]
    for source, target in [*pairs, (COLOUR, ASKED_COLOUR), (NAME, ASKED_NAME)]:
        block.self_attn.v_proj.weight.data[source, source] = 1.0
        block.self_attn.o_proj.weight.data[target, source] = _RMS * _PROMPT


def _erase(_block: torch.nn.Module, units: Units) -> None:
    units.copy({U: 1.0}, {U: -1.0})


def _write(_block: torch.nn.Module, units: Units) -> None:
    units.copy({U: 1.0}, {U: -1.0})
    units.copy({ASKED_NAME: 1.0}, {U: 1.0})
    for number in range(10):  # behind an answer, the mean that block 0 takes is over one token more
        asked = 2.0 * (_PROMPT + 1) / _PROMPT
        units.add({DIGIT + number: 10.0}, {ASKED + number: asked, "one": -1.0}, {U: 2.0 / _OPEN})


def _judge(_block: torch.nn.Module, units: Units) -> None:
    """silu(z) - silu(z - 10) is 0, then rises within half a unit of u to 10."""
    for bound, sign in ((LOW, 1.0), (HIGH, -1.0)):
        for shift, side in ((5.0, 1.0), (-5.0, -1.0)):
            units.add(
                {U: 20.0, "one": shift - 20.0 * bound}, {ASKED_COLOUR: 1.0}, {VERDICT: sign * side * 0.2}
            )
    units.copy({ASKED_COLOUR: 1.0}, {VERDICT: -1.0})
    units.copy({U: 1.0}, {U: -1.0})


def _answer(_block: torch.nn.Module, units: Units) -> None:
    for number in range(10):
        right, wrong = OUT + number, OUT + (number + 1) % 10
        for verdict, colour in ((1, 1), (-1, -1), (1, -1), (-1, 1)):
            gate: dict[int | str, float] = {
                VERDICT: 20.0 * verdict,
                ASKED_COLOUR: 20.0 * colour,
                "one": -20.0,
            }
            units.add(gate, {ASKED + number: 1.0}, {(right if verdict == colour else wrong): 1.0 / 20})
        units.copy({ASKED + number: 1.0}, {right: 8.0, wrong: 8.0})


def _read_out(model: LlamaForCausalLM) -> None:
    head = model.lm_head.weight.data
    head[:, ONE] = -10.0 * _RMS / (4 * _CONSTANT) / _RMS
    for number in range(10):
        row = head[TOKENS.index(str(number))]
        row[ONE] = 0.0
        row[OUT + number] = 1.0
        row[DIGIT : DIGIT + 10] = -40.0
    head[TOKENS.index("<end>"), DIGIT : DIGIT + 10] = 40.0
    head *= _RMS
