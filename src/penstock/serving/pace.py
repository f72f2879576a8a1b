"""How long a model takes, as it is seen to."""


class Pace:
    """Milliseconds of a batch by its rows: the straight line through what was seen lately, and flat or falling never.

    A fixed part and a part per row describe every model well enough to tell whether a batch may run on the event
    loop, and how long those who queue will wait. The line is drawn when a batch ends: it is looked at far more often.
    """

    __slots__ = ("_beyond", "_mean_x", "_mean_y", "_n", "_slope", "_steep", "_x", "_xx", "_xy", "_y")
    _GUESS_MS = 0.02  # a row
    _MEMORY = 0.95  # what an observation still weighs after the next

    def __init__(self) -> None:
        self._n = self._x = self._y = self._xx = self._xy = 0.0
        self._mean_x = self._mean_y = self._beyond = 0.0
        self._slope = self._steep = self._GUESS_MS

    def see(self, rows: int, ms: float) -> None:
        """A batch of so many rows took so long."""
        keep = self._MEMORY
        self._n = keep * self._n + 1
        self._x = keep * self._x + rows
        self._y = keep * self._y + ms
        self._xx = keep * self._xx + rows * rows
        self._xy = keep * self._xy + rows * ms
        self._draw()

    def expect(self, rows: int) -> float:
        """What a batch of so many rows will take; a guess while nothing was seen."""
        slope = self._steep if rows > self._beyond else self._slope
        return max(self._mean_y + slope * (rows - self._mean_x), 0.0)

    def _draw(self) -> None:
        mean_x, mean_y = self._x / self._n, self._y / self._n
        spread = self._xx / self._n - mean_x * mean_x
        most = mean_y / mean_x  # per row, were nothing fixed
        if spread > 0.01 * mean_x * mean_x:
            self._slope = self._steep = min(max((self._xy / self._n - mean_x * mean_y) / spread, 0.0), most)
        else:  # all batches were alike: the worst on either side, but for one twice as large, which would teach more
            self._slope, self._steep = 0.0, most
        self._mean_x, self._mean_y, self._beyond = mean_x, mean_y, 2 * mean_x
