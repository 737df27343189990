"""The one exception for everything that whoever calls `unsee` can mend."""


class UnseeError(Exception):
    """What was wrong and what to do about it, in one line.

    The command line prints the line and leaves with exit code 2; every other exception is a fault.
    """
