"""A method over a whole data set: rows in a store, which survives every kind of interruption."""

from unsee.errors import UnseeError

try:
    import pyarrow  # noqa: F401
except ImportError as error:
    raise UnseeError(
        f"a store needs PyArrow, which cannot be imported ({error}): pip install 'unsee[data]'"
    ) from error
