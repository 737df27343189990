import logging
import warnings

import pytest

from network_files import write_export
from unsee.errors import UnseeError
from unsee.models import load
from unsee.quiet import quiet


@pytest.fixture
def names(caplog):
    """A logger, one below it that exists, and one that does not exist yet."""
    top = logging.getLogger("unsee_test_quiet")
    old = logging.getLogger("unsee_test_quiet.old")
    old.setLevel(logging.INFO)
    yield top.name, old.name, f"{top.name}.new"
    logging.root.manager.loggerDict.pop(f"{top.name}.new", None)


def test_nothing_is_logged_or_warned_inside(names, caplog):
    top, old, new = names
    with quiet(top):
        for name in (top, old, new):
            logging.getLogger(name).critical("said")
        warnings.warn("said", stacklevel=1)
        logging.getLogger("unsee_test_other").error("another library's")
    assert caplog.messages == ["another library's"]


def test_afterwards_everything_is_as_before(names, caplog):
    top, old, _ = names
    with pytest.raises(ValueError, match="stop"), quiet(top):
        raise ValueError("stop")
    assert (logging.getLogger(top).level, logging.getLogger(old).level) == (logging.NOTSET, logging.INFO)
    logging.getLogger(old).info("said")
    assert caplog.messages == ["said"]
    with pytest.warns(UserWarning, match="said"):
        warnings.warn("said", stacklevel=1)


def test_a_wrong_file_for_a_program_gets_one_line(tmp_path, caplog, capfd):
    file = tmp_path / "net.zip"
    file.write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(UnseeError, match=r"is not a file of torch\.export\.save"):
        load(f"export:{file}", device="cpu", mean=0.5, std=0.5)
    assert caplog.messages == []
    assert capfd.readouterr().err == ""


def test_a_program_may_have_any_ending(tmp_path):
    file = write_export(tmp_path / "net.pt2").rename(tmp_path / "net.program")
    assert load(f"export:{file}", device="cpu", mean=0.5, std=0.5).size == (64, 64)
