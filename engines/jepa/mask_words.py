"""Which block of a packed row sees which, as sentences: for whoever listens instead of looking at the picture."""

from collections.abc import Sequence

from engines.jepa.layout import PackedRow
from engines.jepa.mask_blocks import MaskBlock, Relation, relations

_HOW: dict[Relation, str] = {"full": "all of", "causal": "up to each token itself in", "part": "some of"}


def who_sees_whom(row: PackedRow, blocks: Sequence[MaskBlock]) -> list[str]:
    """A sentence for each block that looks; what it does not see is not named."""
    names = [block.name for block in blocks]
    sentences = []
    for name, found in zip(names, relations(row, blocks), strict=True):
        said = []
        for how, words in _HOW.items():
            if seen := [other for other, one in zip(names, found, strict=True) if one == how]:
                said.append(f"{words} {', '.join(seen)}")
        sentences.append(f"{name} sees {'; '.join(said) or 'nothing'}.")
    return sentences
