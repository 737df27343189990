"""Files and folders that are written completely or not at all."""

import pytest

from unsee.files import UNFINISHED, staged_folder, write_whole


def test_a_file_is_written_and_replaced(tmp_path):
    for data in (b"one", b"two"):
        write_whole(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_earlier_file(tmp_path, monkeypatch):
    write_whole(tmp_path / "file", b"one")

    def fail(handle):
        assert any(path.name.startswith(UNFINISHED) for path in tmp_path.iterdir())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_staged_files_are_moved_and_the_last_one_last(tmp_path, monkeypatch):
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    for name in ("last", "other"):
        (folder / name).write_text("old")
    moved = []

    def move(source, target):
        assert not (folder / "last").exists()
        moved.append(target.name)
        source.replace(target)

    monkeypatch.setattr("shutil.move", move)
    with staged_folder(folder, "last") as staged:
        for name in ("last", "zebra", "ant"):
            (staged / name).write_text("new")
        assert (folder / "last").read_text() == "old"
    assert moved == ["ant", "zebra", "last"]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "ant": "new",
        "last": "new",
        "other": "old",
        "zebra": "new",
    }


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt()])
def test_a_failed_block_leaves_the_folder_as_it_was(tmp_path, failure):
    (tmp_path / "last").write_text("old")

    def write():
        with staged_folder(tmp_path, "last") as staged:
            (staged / "last").write_text("new")
            raise failure

    with pytest.raises(type(failure)):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["last"]
    assert (tmp_path / "last").read_text() == "old"
