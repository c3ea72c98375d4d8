"""Made tables with a question: a company's figures, a hierarchical header, several tables to join."""

import random
from decimal import Decimal

Table = list[list[str]]
Made = tuple[list[Table], str, list[str], str]
"""Tables, question, gold answers, and the text before the tables."""

_LINES = ("net sales", "cost of sales", "research", "marketing", "operating income", "interest expense")
_REGIONS = ("north", "south", "east", "west")
_GOODS = ("lamps", "chairs", "desks", "shelves", "rugs", "mirrors")


def _shown(value: Decimal) -> str:
    """Six significant digits: an answer that is rounded sensibly lies within the grader's thousandth."""
    return f"{float(value):.6g}"


def made_finqa(seed: int, difficulty: int) -> Made:
    """Text and a table of two to four years; two or three steps; often a percentage."""
    draw = random.Random(f"finqa {seed}")
    years = list(range(2010 + draw.randint(0, 8), 2030))[: 2 + difficulty // 2]
    lines = draw.sample(_LINES, 2 + difficulty // 2)
    values = {line: [draw.randint(50, 999 + 1000 * difficulty) for _ in years] for line in lines}
    table = [
        ["in millions", *map(str, years)],
        *([line, *(f"$ {v:,}" for v in values[line])] for line in lines),
    ]
    line, first, last = draw.choice(lines), 0, len(years) - 1
    old, new = Decimal(values[line][first]), Decimal(values[line][last])
    kind = draw.randrange(3)
    before = f"The company reports its figures for the years {years[0]} to {years[-1]}."
    if kind == 0:
        question = f"What was the percentage change of {line} from {years[first]} to {years[last]}?"
        return [table], question, [_shown((new - old) / old * 100) + "%"], before
    if kind == 1:
        other = draw.choice([name for name in lines if name != line])
        share = Decimal(values[other][last]) / new
        return (
            [table],
            f"What was the ratio of {other} to {line} in {years[last]}?",
            [_shown(share)],
            before,
        )
    mean = Decimal(sum(values[line])) / len(years)
    return [table], f"What was the average of {line} over all years shown?", [_shown(mean)], before


def made_hitab(seed: int, difficulty: int) -> Made:
    """A table with two levels of columns; lookup, difference, largest, or all above a limit."""
    draw = random.Random(f"hitab {seed}")
    goods, years = draw.sample(_GOODS, 3 + difficulty // 2), [2019, 2020]
    regions = draw.sample(_REGIONS, 2)
    columns = [(region, year) for region in regions for year in years]
    numbers = draw.sample(range(10, 999), len(goods) * len(columns))
    cells = {
        good: dict(zip(columns, numbers[place * len(columns) :], strict=False))
        for place, good in enumerate(goods)
    }
    table = [
        ["", *(region for region, _ in columns)],
        ["sold", *(str(year) for _, year in columns)],
        *([good, *(str(cells[good][column]) for column in columns)] for good in goods),
    ]
    column = draw.choice(columns)
    where = f"in the {column[0]} in {column[1]}"
    values = {good: cells[good][column] for good in goods}
    first, second = draw.sample(goods, 2)
    kind = draw.randrange(4)
    if kind == 0:
        return [table], f"How many {first} were sold {where}?", [str(values[first])], ""
    if kind == 1:
        return [table], f"How many more {first} than {second} were sold {where}? Negative if fewer.", [str(values[first] - values[second])], ""  # fmt: skip
    if kind == 2:
        return [table], f"Which good was sold most {where}?", [max(values, key=values.__getitem__)], ""
    limit = sorted(values.values())[-2]
    above = [good for good in goods if values[good] >= limit]
    return [table], f"Which goods were sold at least {limit} times {where}?", above, ""


def made_multihier(seed: int, difficulty: int) -> Made:
    """Prices and quantities in tables of their own, to be joined and added up."""
    draw = random.Random(f"multihier {seed}")
    goods = draw.sample(_GOODS, 2 + difficulty // 2)
    prices = {good: draw.randint(2, 50 + 20 * difficulty) for good in goods}
    quarters = ["Q1", "Q2"] if difficulty < 3 else ["Q1", "Q2", "Q3"]
    sold = {good: [draw.randint(1, 90) for _ in quarters] for good in goods}
    price_table = [["good", "price in $"], *([good, str(prices[good])] for good in goods)]
    sold_table = [["sold", *quarters], *([good, *map(str, sold[good])] for good in goods)]
    quarter = draw.randrange(len(quarters))
    if draw.random() < 0.5:
        total = sum(prices[good] * sold[good][quarter] for good in goods)
        question = f"What was the total revenue in {quarters[quarter]}, in dollars?"
        return [price_table, sold_table], question, [str(total)], ""
    good = draw.choice(goods)
    total = prices[good] * sum(sold[good])
    return (
        [price_table, sold_table],
        f"What revenue did {good} bring over all quarters, in dollars?",
        [str(total)],
        "",
    )
