"""A canvas of braille cells: two by four dots in a character, and for each cell the paint it was last drawn with."""

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLANK_CELL = 0x2800


class Canvas:
    """`width` by `height` cells; dots are addressed from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.dots_across, self.dots_down = width * 2, height * 4
        self._bits = [[0] * width for _ in range(height)]
        self._paint = [[""] * width for _ in range(height)]

    def dot(self, x: int, y: int, paint: str) -> None:
        if 0 <= x < self.dots_across and 0 <= y < self.dots_down:
            row, column = y >> 2, x >> 1
            self._bits[row][column] |= _DOTS[y & 3][x & 1]
            self._paint[row][column] = paint

    def vertical(self, x: int, top: int, bottom: int, paint: str) -> None:
        for y in range(max(top, 0), min(bottom, self.dots_down - 1) + 1):
            self.dot(x, y, paint)

    def line(self, x0: int, y0: int, x1: int, y1: int, paint: str) -> None:
        """Bresenham's line, both ends included."""
        across, down = abs(x1 - x0), -abs(y1 - y0)
        step_x, step_y = (1 if x0 < x1 else -1), (1 if y0 < y1 else -1)
        error = across + down
        while True:
            self.dot(x0, y0, paint)
            if (x0, y0) == (x1, y1):
                return
            doubled = 2 * error
            if doubled >= down:
                error, x0 = error + down, x0 + step_x
            if doubled <= across:
                error, y0 = error + across, y0 + step_y

    def overlay(self, other: "Canvas") -> None:
        """Cells drawn on the other canvas replace ours whole."""
        for row in range(self.height):
            for column in range(self.width):
                if bits := other._bits[row][column]:
                    self._bits[row][column] = bits
                    self._paint[row][column] = other._paint[row][column]

    def cell(self, column: int, row: int) -> tuple[str, str]:
        """The character and its paint; an empty cell is a space without paint."""
        bits = self._bits[row][column]
        return (chr(_BLANK_CELL + bits), self._paint[row][column]) if bits else (" ", "")
