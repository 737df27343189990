"""Names and numbers in messages."""


def spelled(name: str) -> str:
    """A name as it is typed on the command line and shown in messages: grad-cam for grad_cam."""
    return name.replace("_", "-")


def counted(count: int, noun: str, several: str = "") -> str:
    """A number with its noun: 1 image, 3 images.

    Args:
        count: how many there are.
        noun: for one.
        several: for any other number; by default the noun with an s.
    """
    return f"{count} {noun if count == 1 else several or noun + 's'}"


def below(count: int) -> str:
    """The indices of so many things, from 0: "0 to 4", or "0" for one."""
    return "0" if count == 1 else f"0 to {count - 1}"


def classes_below(count: int) -> str:
    """The classes of a network with so many scores: "classes 0 to 4", or "only class 0"."""
    return "only class 0" if count == 1 else f"classes {below(count)}"


def none_can(count: int, noun: str, verb: str) -> str:
    """That none of so many things can do something: "none of the 3 images can be read"."""
    return f"the only {noun} cannot {verb}" if count == 1 else f"none of the {count} {noun}s can {verb}"
