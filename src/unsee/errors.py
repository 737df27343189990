"""The exception for errors that the caller can fix."""


class UnseeError(Exception):
    """An error that the caller can fix; one line says what was wrong and what to do.

    The command line prints the line and exits with code 2. Any other exception is a bug in unsee.
    """
