"""What was handed in: a folder or a zip file, read by name and size, never unpacked or followed.

    submission = Submission(Path("ada.zip"))
    submission.read("solution.py", 200_000)      # bytes, or Missing says why not

Only names that the homework asks for are ever read, each up to a limit, so a link, a device, a
bomb or a path with `..` in it has nobody who opens it. Left out: what the files mean.
"""

import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

MOST_ZIP = 20_000_000  # bytes
MOST_BESIDE = 20  # files and folders beside the one that solution.py is in


class Missing(Exception):
    """A file that is not there or cannot be used, in a sentence for the student."""


class Submission:
    """The files of a submission. One folder around all of them is allowed."""

    def __init__(self, path: Path):
        self.path, self.zip = path, None
        if path.is_file():
            if path.stat().st_size > MOST_ZIP:
                raise Missing(f"{path.name} is larger than {MOST_ZIP:,} bytes")
            try:
                self.zip = zipfile.ZipFile(path)
            except Exception as error:  # zipfile raises what it likes
                raise Missing(f"{path.name} is not a zip file that can be read: {error}") from None
        self.prefix = self.find_prefix()

    def find_prefix(self) -> str:
        """The folder that solution.py is in: the top, or the only one that has it."""
        names = self.names("")
        if "solution.py" in names or len(names) > MOST_BESIDE:
            return ""
        there = [name for name in names if "solution.py" in self.names(f"{name}/")]
        return f"{there[0]}/" if len(there) == 1 else ""

    def names(self, folder: str) -> list[str]:
        """What is directly in a folder, hidden files and rubbish left out."""
        if self.zip:
            inside = (n[len(folder) :] for n in self.zip.namelist() if n.startswith(folder))
            found = {name.split("/")[0] for name in inside if name}
        else:
            place = self.path / folder
            real = place.is_dir() and not self.link_in(folder)
            found = set(os.listdir(place)) if real else set()
        return sorted(n for n in found if n and not n.startswith((".", "__")))

    def link_in(self, name: str) -> str:
        """The first part of a path in the folder that is a link; "" if none is."""
        parts = Path(name).parts
        paths = (Path(*parts[: i + 1]) for i in range(len(parts)))
        return next((str(p) for p in paths if (self.path / p).is_symlink()), "")

    def read(self, name: str, most: int) -> bytes:
        """The content of a file of at most `most` bytes. Missing says what is wrong."""
        content = self.from_zip(name, most) if self.zip else self.from_folder(name, most)
        if len(content) > most:
            raise Missing(f"{name} is larger than {most:,} bytes")
        return content

    def from_zip(self, name: str, most: int) -> bytes:
        """Unpacked no further than the limit."""
        assert self.zip
        try:
            info = self.zip.getinfo(self.prefix + name)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("only deflate is read")  # others unpack all that they hold
            with self.zip.open(info) as file:
                return file.read(most + 1)
        except KeyError:
            raise Missing(f"{name} was not handed in") from None
        except Exception as error:  # damaged, encrypted, of an unknown method
            raise Missing(f"{name} cannot be unpacked: {error}") from None

    def from_folder(self, name: str, most: int) -> bytes:
        """Not through a link, not from a device."""
        place = self.path / self.prefix / name
        try:
            if link := self.link_in(self.prefix + name):
                raise Missing(f"{link} is a link: hand in the file itself")
            descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            with open(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise Missing(f"{name} is not a file")
                return file.read(most + 1)
        except FileNotFoundError:
            raise Missing(f"{name} was not handed in") from None
        except (OSError, ValueError) as error:
            raise Missing(f"{name} cannot be read: {error}") from None

    def json(self, name: str, most: int) -> Any:
        """The content of a JSON file."""
        try:
            return json.loads(self.read(name, most))  # UTF-16, too
        except (ValueError, RecursionError) as error:
            raise Missing(f"{name} is not valid JSON: {str(error)[:100]}") from None
