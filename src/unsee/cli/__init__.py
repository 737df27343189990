"""The command line: a file for each command. Nothing heavy is imported before a command needs it."""

import sys
import traceback

from unsee.cli.app import app
from unsee.cli.console import CONSOLE, plain
from unsee.cli.signals import stopped_at_once
from unsee.errors import UnseeError

__all__ = ["app", "main"]

_USER = 2
_FAULT = 1


def main() -> None:
    """Run the command line.

    Exit code 0, 2 for what the user can fix, 1 for a fault, 130 for Ctrl-C and 143 for SIGTERM.
    """
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        with stopped_at_once():
            app([argument for argument in arguments if argument != "--debug"], prog_name="unsee")
    except UnseeError as error:
        _tell(str(error), debug)
        sys.exit(_USER)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(_FAULT)
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        _tell(f"a fault in unsee: {type(error).__name__}: {reason} (--debug shows where)", debug)
        sys.exit(_FAULT)


def _tell(line: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    CONSOLE.print(f"[red]unsee:[/] {plain(line)}", soft_wrap=True, highlight=False)
