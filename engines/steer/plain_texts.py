"""Plain text that has nothing to do with the task: what a steering must leave alone.

Written for this purpose, so that no model has been trained on it; a recipe may name a file of its own instead.
"""

from pathlib import Path

from engines.recipe.errors import RecipeError

OPENING = 8
"""Words of each text that are given and not counted."""

TEXTS = (
    "The ferry left the harbour a little after six, when the fog still lay on the water and only the tops of the cranes "
    "could be seen. Most of the passengers slept. A woman with a dog stood at the rail and counted the gulls, lost count, "
    "and began again until the island came into view.",
    "Bread dough that has been kept in a cool room overnight tastes better than dough that was hurried. The flour takes up "
    "the water slowly, the yeast works without heat, and in the morning the loaf needs nothing more than a hot stone and "
    "the patience to let it cool before it is cut.",
    "When the old library moved across the river, volunteers formed a line over the bridge and passed the books from hand "
    "to hand. It took two days. At the end a child carried the last volume, a dictionary of plants, and was allowed to "
    "choose the shelf on which it would stand.",
    "Rivers that run through flat country rarely keep to one bed. They cut into the outer bank of every bend and leave "
    "sand on the inner one, until a flood breaks through the narrow neck of land between two bends and the old course is "
    "left behind as a quiet lake.",
    "The committee asked for a clear answer and received a long letter. It praised the question, described the history of "
    "the department, regretted the lack of funds, and promised a further letter as soon as the person in charge of such "
    "matters had returned from leave.",
    "Owls hear so well because their ears do not sit at the same height. A sound from below reaches one of them a moment "
    "before the other, and from that small difference the bird knows where in the grass the mouse is moving, even when "
    "there is no light at all.",
    "My grandmother repaired clocks at the kitchen table, with a towel spread out so that no screw could roll away. She "
    "never explained what she did. But she let me hold the lamp, and after some years I noticed that I knew the names of "
    "all the parts without having learned them.",
    "In the mountain village the bells are rung before a storm, a custom whose reason nobody remembers. Some say that the "
    "noise drives the hail away, others that it calls the shepherds home. The priest says only that the bells are there "
    "and that it would be a pity to keep them silent.",
    "A violin that is never played loses something that cannot be measured easily. The varnish does not change, nor does "
    "the wood, and yet musicians say that such an instrument needs weeks before its tone opens, as a house needs people "
    "before its rooms feel warm.",
    "The first trains were thought to be dangerous to the health. Doctors warned that the body could not bear such speed, "
    "that the eyes would tire of the passing fields and the air be pressed out of the chest. The passengers, meanwhile, "
    "complained mostly about the soot and the hard seats.",
    "Plants that grow in the shade of a forest turn their leaves towards every opening in the roof above them. Where a "
    "tree falls, seedlings that have waited for years begin to race upwards, and within a few summers the gap is closed "
    "and the ground below is dark again.",
    "She wrote the letter three times. The first was too angry, the second too polite, and the third, which she posted, "
    "said only that she would be at the station on Friday and hoped that the weather would be better than it had been on "
    "the day when they last spoke.",
)


def plain_texts(path: str | None) -> list[str]:
    """The texts of a file, which blank lines separate, or those above. RecipeError where there is none to measure with."""
    if path is None:
        return list(TEXTS)
    try:
        written = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"plain_text: {path} cannot be read: {error}", hint="name a text file") from error
    texts = [" ".join(text.split()) for text in written.replace("\r\n", "\n").split("\n\n")]
    texts = [text for text in texts if len(text.split()) > OPENING]
    if len(texts) < 2:
        raise RecipeError(
            f"plain_text: {path} has {len(texts)} texts of more than {OPENING} words",
            hint="write two or more texts with blank lines between them, or leave the field out",
        )
    return texts
