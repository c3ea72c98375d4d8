"""`gpus:` in `config.yaml` of the home directory: which cards are preferred, which are left alone.

gpus:
  prefer: ["1", GPU-5ee7]      # by number or by the beginning of the UUID; the others come after them
  exclude: ["0"]
  keep_free: 1GiB              # of each card that jobs share
  allow_unclear: false         # give out cards whose driver does not say who uses them
"""

from collections.abc import Sequence

from daemon.gpus.cards import Card
from engines.recipe.blocks import Block
from engines.recipe.sizes import Size, bytes_of


class GpuSettings(Block):
    """How cards are given out."""

    prefer: list[str] = []
    exclude: list[str] = []
    keep_free: Size = "1GiB"
    allow_unclear: bool = False

    def order(self, cards: Sequence[Card]) -> list[Card]:
        """The cards that may be given out, the preferred first."""
        preferred = [card for wanted in self.prefer for card in cards if _is(card, wanted)]
        left = [card for card in cards if not any(_is(card, unwanted) for unwanted in self.exclude)]
        return [card for card in dict.fromkeys([*preferred, *cards]) if card in left]

    @property
    def kept_free_bytes(self) -> int:
        return bytes_of(self.keep_free)


def _is(card: Card, selector: str) -> bool:
    return selector == card.index or (len(selector) > 4 and card.uuid.startswith(selector))
