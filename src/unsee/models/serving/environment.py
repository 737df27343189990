"""Values of the environment in texts of a service file: what must not stand in the file."""

import os
import re

from unsee.errors import UnseeError

_NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def filled(text: str, where: str) -> str:
    """A text with the value of an environment variable in the place of each ${NAME}.

    Raises:
        UnseeError: there is no such variable.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise UnseeError(f"{where} needs the environment variable {found[1]}: set it")
        return os.environ[found[1]]

    return _NAMED.sub(value, text)
