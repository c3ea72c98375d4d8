"""How many bytes go down the line to the terminal."""

import time
from collections import deque
from collections.abc import Callable

from textual.driver import Driver

WINDOW_SECONDS = 5.0


class Meter:
    """Counts what a driver writes. Encoded as UTF-8, as the line has it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = 0
        self._clock = clock
        self._recent: deque[tuple[float, int]] = deque()

    def attach(self, driver: Driver) -> None:
        """Everything that the driver writes from now on is counted."""
        write = driver.write

        def counted(data: str) -> None:
            self.add(len(data.encode("utf-8", "replace")))
            write(data)

        driver.write = counted  # type: ignore[method-assign]

    def add(self, count: int) -> None:
        self.total += count
        self._recent.append((self._clock(), count))

    def rate(self) -> float:
        """Bytes a second over the last five."""
        since = self._clock() - WINDOW_SECONDS
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
        return sum(count for _, count in self._recent) / WINDOW_SECONDS
