"""What people read goes to standard error; standard output is for results that programs read."""

from rich.console import Console

CONSOLE = Console(stderr=True)
