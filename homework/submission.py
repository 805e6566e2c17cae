"""What was handed in: a folder or a zip file, read by name and size, never unpacked or followed.

    submission = Submission(Path("ada.zip"))
    submission.read("solution.py", 200_000)      # bytes, or Failed, which says why not

Names are compared as `a/b`, however a zip program wrote them. Only names that the homework asks for
are ever read, each up to a limit, and nothing follows a link or a path with `..` in it.
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
    """The files of a submission. One folder around all of them is allowed, and so is a folder with
    one zip file and no solution.py, as Moodle has it."""

    def __init__(self, path: Path):
        self.files: dict[str, Path | zipfile.ZipInfo] = {}
        zips = [p for p in path.iterdir() if p.suffix.lower() == ".zip"] if path.is_dir() else []
        if len(zips) == 1 and not zips[0].is_symlink() and not (path / "solution.py").exists():
            path = zips[0]
        if path.is_dir():
            there = [Path(top, name) for top, _, names in os.walk(path) for name in names]
            self.files = {p.relative_to(path).as_posix(): p for p in there
                          if stat.S_ISREG(p.lstat().st_mode)}  # fmt: skip
        else:
            try:
                if path.stat().st_size > MOST_ZIP:
                    raise ValueError(f"it has more than {MOST_ZIP:,} bytes")
                self.zip = zipfile.ZipFile(path)
            except Exception as error:  # zipfile raises what it likes
                raise Failed(f"{path.name} is not a zip file that can be read: {error}") from None
            self.files = {plain(info.filename): info for info in self.zip.infolist()
                          if not stat.S_ISLNK(info.external_attr >> 16)}  # fmt: skip
        names = [name for name in self.files if name.split("/")[1:] in ([], ["solution.py"])]
        tops = {n.removesuffix("solution.py") for n in names if Path(n).name == "solution.py"}
        tops -= {top for top in tops if top.startswith((".", "__"))}  # hidden, and a Mac's own
        self.prefix = tops.pop() if len(tops) == 1 else ""

    def read(self, name: str, most: int) -> bytes:
        """The content of a file of at most `most` bytes. Failed says what is wrong."""
        if (file := self.files.get(self.prefix + name)) is None:
            raise Failed(f"{name} was not handed in")
        try:
            if isinstance(file, zipfile.ZipInfo) and file.compress_type not in (0, 8):
                raise ValueError("only deflate is read")  # others unpack all that they hold
            with file.open("rb") if isinstance(file, Path) else self.zip.open(file) as content:
                found = content.read(most + 1)  # a bomb is unpacked no further
        except Exception as error:  # damaged, encrypted
            raise Failed(f"{name} cannot be read: {error}") from None
        if len(found) > most:
            raise Failed(f"{name} is larger than {most:,} bytes")
        return found

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
