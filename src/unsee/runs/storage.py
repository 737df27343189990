"""Where a store is kept: any address that fsspec knows. In a folder, files appear whole or not at all."""

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
        address: a path, or an address such as s3://bucket/store, as it was given.
        fs: fsspec's file system for that address.
        root: the folder within that file system.
    """

    address: str
    fs: Any
    root: str

    @classmethod
    def at(cls, address: str | Path) -> "Storage":
        """The storage at a path or address; nothing is created yet.

        Raises:
            UnseeError: the address is empty, fsspec does not know its kind, or a package for it is missing.
        """
        if not str(address).strip():
            raise UnseeError(
                "a store's name must not be empty: give a folder, or an address that fsspec knows"
            )
        try:
            fs, root = url_to_fs(str(address))
        except (ValueError, ImportError, OSError) as error:
            raise UnseeError(f"{address} cannot be reached as a folder or an address ({error})") from error
        return cls(str(address), fs, str(root))

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine's file system."""
        return isinstance(self.fs, LocalFileSystem)

    @property
    def shared(self) -> bool:
        """Whether other processes can see it."""
        return not isinstance(self.fs, MemoryFileSystem)

    @property
    def whole_address(self) -> str:
        """The address, valid from any working directory: the absolute path of a folder."""
        return self.root if self.local else self.address

    def path(self, name: str) -> str:
        """The path of a file within the file system."""
        return f"{self.root}/{name}"

    def names(self) -> list[str]:
        """The files in the folder, sorted; none if the folder does not exist.

        Raises:
            UnseeError: the address is a file, or the folder cannot be listed.
        """
        try:
            self.fs.invalidate_cache()
            found = self.fs.ls(self.root, detail=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._refused(error, "listed") from error
        if [entry["name"] for entry in found if entry["type"] == "file"] == [self.root]:
            raise UnseeError(f"{self.address} is a file: name a folder for the store")
        return sorted(entry["name"].rsplit("/", 1)[-1] for entry in found if entry["type"] == "file")

    def others(self) -> list[str]:
        """Files and folders in a folder, without this run's lock; an empty list for other storage."""
        if not self.local or not Path(self.root).is_dir():
            return []
        names = (path.name for path in Path(self.root).iterdir())
        return sorted(name for name in names if name != LOCK and not name.startswith(UNFINISHED))

    def read(self, name: str) -> bytes:
        """The bytes of a file; raises FileNotFoundError if it does not exist."""
        data: bytes = self.fs.cat_file(self.path(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file: in a folder under another name, synced, then renamed; elsewhere in one request.

        Raises:
            UnseeError: there is no space or no permission; in a folder the previous file is kept.
        """
        try:
            if self.local:
                write_whole(Path(self.root) / name, data)
            else:
                self.fs.pipe_file(self.path(name), data)
        except OSError as error:
            raise self._refused(error, "written to") from error

    def remove(self, name: str) -> None:
        """Remove a file, if it exists.

        Raises:
            UnseeError: there is no permission.
        """
        try:
            with suppress(FileNotFoundError):
                self.fs.rm_file(self.path(name))
        except OSError as error:
            raise self._refused(error, "written to") from error

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Lock the folder against other runs, and remove unfinished files of a run that was killed.

        The folder is created if it does not exist. Only folders can be locked; other storage is not.

        Raises:
            UnseeError: another run holds the lock, or the folder cannot be created or written to.
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
            f"{self.address} cannot be {verb} ({error.strerror or error}): correct that, or name "
            "another store; what it has already is kept"
        )
