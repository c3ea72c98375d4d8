"""The fields of a recipe in columns, and what each of them means."""

from collections.abc import Collection

from cockpit.plain_text import plain_line
from cockpit.recipe_edits import FormRow
from cockpit.widgets.cells import Cell, fit


def help_lines(row: FormRow) -> list[list[Cell]]:
    told = f"{'matrix of ' if row.in_matrix else ''}{row.field.kind}   default {row.field.default}"
    return [
        [(row.field.key, "accent"), (f"   {plain_line(told, 300)}", "muted")],
        [(plain_line(row.field.help, 600), "")],
    ]


def field_table(
    rows: list[FormRow], changes: Collection[str | None], width: int
) -> tuple[list[Cell], list[list[Cell]]]:
    """Changed fields have a mark, those that the recipe sets are strong, the others show their default."""
    key = max(min(max((len(row.field.key) for row in rows), default=0) + 2, width // 2), 12)
    value = max((width - key - 2) * 2 // 3, 12)
    kind = max(width - key - value - 2, 0)
    header: list[Cell] = [(fit("  field", key + 2) + fit("value", value) + fit("type", kind), "muted")]
    lines: list[list[Cell]] = []
    for row in rows:
        changed = row.target in changes
        paint = "accent" if changed else "strong" if row.is_set else "muted"
        lines.append(
            [
                ("● " if changed else "  ", "accent"),
                (fit(row.field.key, key), "strong" if row.is_set else ""),
                (fit(plain_line(row.value, 300), value - 1) + " ", paint),
                (fit(row.field.kind, kind), "muted"),
            ]
        )
    return header, lines
