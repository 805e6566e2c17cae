"""What was handed in: a folder or a zip file, read by name and size, never unpacked or followed.

    submission = Submission(Path("ada.zip"))
    submission.read("solution.py", 200_000)      # bytes, or Failed, which says why not

Names are compared as `a/b`, however a zip program wrote them. Only names that the homework asks for
are ever read, each up to a limit, so nothing opens a link, a bomb or a path with `..` in it.
"""

import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

from sandbox import Failed

MOST_ZIP = 20_000_000  # bytes


class Submission:
    """The files of a submission. One folder around all of them is allowed."""

    def __init__(self, path: Path):
        self.path, self.inside = path, dict[str, zipfile.ZipInfo]()
        if path.is_dir():
            names = [str(p.relative_to(path)) for p in path.glob("*/solution.py")]
            names += ["solution.py"] * os.path.lexists(path / "solution.py")
        else:
            try:
                if path.stat().st_size > MOST_ZIP:
                    raise ValueError(f"it has more than {MOST_ZIP:,} bytes")
                self.zip = zipfile.ZipFile(path)
            except Exception as error:  # zipfile raises what it likes
                raise Failed(f"{path.name} is not a zip file that can be read: {error}") from None
            self.inside = {plain(info.filename): info for info in self.zip.infolist()}
            names = [n for n in self.inside if n.split("/")[1:] in ([], ["solution.py"])]
        tops = {n.removesuffix("solution.py") for n in names if n.endswith("solution.py")}
        tops -= {top for top in tops if top.startswith((".", "__"))}  # hidden, and a Mac's own
        self.prefix = tops.pop() if len(tops) == 1 else ""

    def read(self, name: str, most: int) -> bytes:
        """The content of a file of at most `most` bytes. Failed says what is wrong."""
        try:
            with self.opened(self.prefix + name) as file:
                content = file.read(most + 1)  # a bomb is unpacked no further
            if len(content) <= most:
                return content
            raise ValueError(f"it is larger than {most:,} bytes")
        except (KeyError, FileNotFoundError):
            raise Failed(f"{name} was not handed in") from None
        except Exception as error:  # damaged, encrypted, not a file
            raise Failed(f"{name} cannot be read: {error}") from None

    def opened(self, name: str) -> Any:
        """A file, not through a link, not a device."""
        if not self.path.is_dir():
            if self.inside[name].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("only deflate is read")  # others unpack all that they hold
            return self.zip.open(self.inside[name])
        place = self.path
        for part in name.split("/"):
            place = place / part
            if place.is_symlink():
                raise ValueError("it is a link: hand in the file itself")
        if not stat.S_ISREG(place.stat().st_mode):
            raise ValueError("it is not a file")
        return place.open("rb")

    def json(self, name: str, most: int) -> Any:
        """The content of a JSON file."""
        try:
            return json.loads(self.read(name, most))  # UTF-16, too
        except (ValueError, RecursionError) as error:
            raise Failed(f"{name} is not valid JSON: {str(error)[:100]}") from None


def plain(name: str) -> str:
    """A name in an archive as a/b: bsdtar begins it with ./, Windows divides it by backslashes. A
    name that leads out of the archive's own folder becomes "", which nobody asks for."""
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or ":" in parts[0] or ".." in parts:
        return ""
    return "/".join(part for part in parts if part not in ("", "."))
