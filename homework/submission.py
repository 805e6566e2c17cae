"""What was handed in: a folder or a zip file, read by name and size, never unpacked or followed.

    submission = Submission(Path("ada.zip"))
    submission.read("solution.py", 200_000)      # bytes, or Missing says why not

Names are compared as `a/b`, however a zip program wrote them. Only names that the homework asks for
are ever read, each up to a limit, so nothing opens a link, a bomb or a path with `..` in it. Left
out: what the files mean.
"""

import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

MOST_ZIP = 20_000_000  # bytes


class Missing(Exception):
    """A file that is not there or cannot be used, in a sentence for the student."""


class Submission:
    """The files of a submission. One folder around all of them is allowed."""

    def __init__(self, path: Path):
        self.path, self.zip = path, None
        if not path.is_dir():
            try:
                if path.stat().st_size > MOST_ZIP:
                    raise ValueError(f"it has more than {MOST_ZIP:,} bytes")
                self.zip = zipfile.ZipFile(path)
            except Exception as error:  # zipfile raises what it likes
                raise Missing(f"{path.name} is not a zip file that can be read: {error}") from None
            found = [("/".join(parts_of(info.filename)), info) for info in self.zip.infolist()]
            self.inside = {name: info for name, info in found if ".." not in name.split("/")}
            names = list(self.inside)
        else:
            names = [f"{p.name}/solution.py" for p in path.iterdir() if (p / "solution.py").exists()]
            names += ["solution.py"] * (path / "solution.py").exists()
        tops = {name.removesuffix("solution.py") for name in names if is_solution(name)}
        self.prefix = "" if "" in tops or len(tops) != 1 else tops.pop()

    def read(self, name: str, most: int) -> bytes:
        """The content of a file of at most `most` bytes. Missing says what is wrong."""
        try:
            content = self.from_zip(name, most) if self.zip else self.from_folder(name, most)
        except (KeyError, FileNotFoundError):
            raise Missing(f"{name} was not handed in") from None
        except Exception as error:  # damaged, encrypted, not a file
            raise Missing(f"{name} cannot be read: {error}") from None
        if len(content) > most:
            raise Missing(f"{name} is larger than {most:,} bytes")
        return content

    def from_zip(self, name: str, most: int) -> bytes:
        """Unpacked no further than the limit."""
        assert self.zip
        info = self.inside[self.prefix + name]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("only deflate is read")  # others unpack all that they hold
        with self.zip.open(info) as file:
            return file.read(most + 1)

    def from_folder(self, name: str, most: int) -> bytes:
        """Not through a link, not from a device."""
        place = self.path
        for part in (self.prefix + name).split("/"):
            place = place / part
            if place.is_symlink():
                raise ValueError("it is a link: hand in the file itself")
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError("it is not a file")
            return file.read(most + 1)

    def json(self, name: str, most: int) -> Any:
        """The content of a JSON file."""
        try:
            return json.loads(self.read(name, most))  # UTF-16, too
        except (ValueError, RecursionError) as error:
            raise Missing(f"{name} is not valid JSON: {str(error)[:100]}") from None


def parts_of(name: str) -> list[str]:
    """A name in an archive, in parts: bsdtar begins it with ./, Windows divides it by backslashes.
    One that begins elsewhere (/etc, C:) keeps a mark of that."""
    parts = name.replace("\\", "/").split("/")
    outside = [".."] * (parts[0] == "" or ":" in parts[0])
    return outside + [part for part in parts if part not in ("", ".")]


def is_solution(name: str) -> bool:
    """At the top or in one folder that is not hidden or a Mac's own."""
    *folder, last = name.split("/")
    return last == "solution.py" and len(folder) < 2 and not name.startswith((".", "__"))
