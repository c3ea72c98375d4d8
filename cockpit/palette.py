"""The command palette: everything that has a key here, and the themes."""

from collections.abc import Callable, Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from cockpit.asked import ChooseTheme

MOVES = frozenset(
    ("Up", "Down", "Page up", "Page down", "Top", "Bottom", "First", "Last", "First job", "Last job")
)
"""Movement of a cursor, line by line or page by page, is of no use by name."""


class KeyCommands(Provider):
    """Every described binding of the screen below, to find by name instead of by key."""

    async def discover(self) -> Hits:
        for title, key, run in self._commands():
            yield DiscoveryHit(title, run, help=f"key {key}")

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, key, run in self._commands():
            if (score := matcher.match(title)) > 0:
                yield Hit(score, matcher.highlight(title), run, help=f"key {key}")

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        known = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            is_command = binding.id is not None and binding.description not in MOVES
            if not (is_command and active.enabled) or (active.node, binding.action) in known:
                continue
            known.add((active.node, binding.action))
            title = f"{binding.description}: {binding.tooltip}" if binding.tooltip else binding.description
            key = binding.key_display or self.app.get_key_display(binding)
            yield title, key, partial(self.app.run_action, binding.action, active.node)


class ThemeCommands(Provider):
    """The themes by name."""

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name in self.app.available_themes:
            title = f"Theme: {name}"
            if (score := matcher.match(title)) > 0:
                yield Hit(score, matcher.highlight(title), partial(self._choose, name))

    def _choose(self, name: str) -> None:
        self.app.post_message(ChooseTheme(name))
