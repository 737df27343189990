"""Where a store lies: any address that fsspec knows; in a folder files appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from unsee.errors import UnseeError
from unsee.files import UNFINISHED, write_whole

LOCK = "_lock"


@dataclass(frozen=True)
class Storage:
    """A folder of files, by their names.

    Args:
        address: as it was given: a path, or an address such as s3://bucket/store.
        fs: fsspec's file system of that address.
        root: the folder in that file system.
    """

    address: str
    fs: Any
    root: str

    @classmethod
    def at(cls, address: str | Path) -> "Storage":
        """The place at a path or address; nothing is made there yet.

        Raises:
            UnseeError: fsspec does not know such addresses, or lacks what it needs for them; or an empty one.
        """
        if not str(address).strip():
            raise UnseeError("a store has no empty name: give a folder, or an address that fsspec knows")
        try:
            fs, root = url_to_fs(str(address))
        except (ValueError, ImportError, OSError) as error:
            raise UnseeError(f"{address} is no folder or address that can be reached ({error})") from error
        return cls(str(address), fs, str(root))

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine's own file system."""
        return isinstance(self.fs, LocalFileSystem)

    @property
    def shared(self) -> bool:
        """Whether other processes can see it."""
        return not isinstance(self.fs, MemoryFileSystem)

    @property
    def whole_address(self) -> str:
        """The address from any folder: the whole path of one."""
        return self.root if self.local else self.address

    def path(self, name: str) -> str:
        """Where a file lies in the file system."""
        return f"{self.root}/{name}"

    def names(self) -> list[str]:
        """The files that are there, in order; none where there is no folder.

        Raises:
            UnseeError: a file lies where the folder should be, or it cannot be looked into.
        """
        try:
            self.fs.invalidate_cache()
            found = self.fs.ls(self.root, detail=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._refused(error, "looked into") from error
        if [entry["name"] for entry in found if entry["type"] == "file"] == [self.root]:
            raise UnseeError(f"{self.address} is a file: name a folder for the store")
        return sorted(entry["name"].rsplit("/", 1)[-1] for entry in found if entry["type"] == "file")

    def others(self) -> list[str]:
        """What a folder holds beside this run's own lock, folders too; elsewhere nothing is said."""
        if not self.local or not Path(self.root).is_dir():
            return []
        names = (path.name for path in Path(self.root).iterdir())
        return sorted(name for name in names if name != LOCK and not name.startswith(UNFINISHED))

    def read(self, name: str) -> bytes:
        """The bytes of a file; FileNotFoundError where there is none."""
        data: bytes = self.fs.cat_file(self.path(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file: in a folder aside, synced and renamed; elsewhere sent in one go.

        Raises:
            UnseeError: there is no room, or it may not be written; in a folder what was there is as it was.
        """
        try:
            if self.local:
                write_whole(Path(self.root) / name, data)
            else:
                self.fs.pipe_file(self.path(name), data)
        except OSError as error:
            raise self._refused(error, "written to") from error

    def remove(self, name: str) -> None:
        """Take a file away, if it is there.

        Raises:
            UnseeError: it may not be taken away.
        """
        try:
            with suppress(FileNotFoundError):
                self.fs.rm_file(self.path(name))
        except OSError as error:
            raise self._refused(error, "written to") from error

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep every other run of this machine out while inside, and clear away what a killed one left.

        The folder is made where it is not there. Only a folder can be claimed: elsewhere nobody is kept out.

        Raises:
            UnseeError: another run is at work there, or the folder cannot be made or written to.
        """
        if not self.local:
            yield
            return
        try:
            Path(self.root).mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path(LOCK), timeout=0)
            lock.acquire()
        except Timeout:
            raise UnseeError(
                f"another run is writing to {self.address}: wait for it, or name another store"
            ) from None
        except OSError as error:
            raise self._refused(error, "written to") from error
        try:
            for name in self.names():
                if name.startswith(UNFINISHED):
                    self.remove(name)
            yield
        finally:
            lock.release()

    def _refused(self, error: OSError, verb: str) -> UnseeError:
        return UnseeError(
            f"{self.address} cannot be {verb} ({error.strerror or error}): mend that, or name another "
            "store; what is there already is kept"
        )
