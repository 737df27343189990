"""What people read goes to standard error; standard output is for results that programs read."""

from rich.console import Console
from rich.markup import escape

CONSOLE = Console(stderr=True)


def plain(text: object) -> str:
    """Text from outside, such as a file's name: no markup, and nothing that a terminal cannot encode."""
    return escape(str(text).encode("utf-8", "backslashreplace").decode())
