"""How many images a served model was asked, and what that cost."""

import threading

from unsee.errors import UnseeError
from unsee.words import counted


class Account:
    """Counts images, for several threads.

    Args:
        most: images that may be asked; None for any number.
        price: of an image, in whatever the user counts; None if there is none.
        who: is asked, for the error.
    """

    def __init__(self, most: int | None, price: float | None, who: str) -> None:
        self.most, self.price, self.who = most, price, who
        self.asked = self.from_cache = 0
        self._lock = threading.Lock()

    def ask(self, count: int) -> None:
        """Count images before they are asked.

        Raises:
            UnseeError: they are too many; none is counted.
        """
        with self._lock:
            if self.most is not None and self.asked + count > self.most:
                raise UnseeError(
                    f"{self.who} was asked {counted(self.asked, 'image')}, and most_images allows "
                    f"{self.most}: raise it in the service file, or start again with as many; no image that "
                    "was answered is asked again"
                )
            self.asked += count

    def keep(self, count: int) -> None:
        """Count images that need not be asked."""
        with self._lock:
            self.from_cache += count

    @property
    def line(self) -> str:
        """Both numbers, and the cost so far where there is a price."""
        cost = "" if self.price is None else f", about {self.asked * self.price:.4g} at {self.price:g} each"
        return f"asked {counted(self.asked, 'image')}, {self.from_cache} from the cache{cost}"
