"""The two archives, made from the project's own code: nothing is copied by hand, nothing can drift.

A student's file is the project's file in which some functions (starter.py lists them) have lost
their body and docstring; private helpers that nobody uses any more go, too. The reference solution
is the same functions with their bodies. Left out: whether it all works (matrix.py tries it).
"""

import ast
import io
import re
import zipfile
from pathlib import Path

from personal import personal
from starter import BRIDGES, DOCSTRINGS, HEAD, STRIPPED, TASKS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NOT_YET = 'raise NotImplementedError("{}: yours to write, in solution.py")'
NOT_HERE = 'raise NotImplementedError("{}: not part of this homework")'
COMMANDS = ("train.py", "sample.py")  # what a student runs; the rest is what these import
GRADER = (
    "grade.py points.py checks.py questions.py replay.py break_it.py personal.py sandbox.py "
    "submission.py start.py"
).split()
Nodes = list[ast.stmt]


def source_of(file: str) -> str:
    """The text of a file of the project, or of the homework's reference."""
    return (HERE / file if file == "reference.py" else ROOT / file).read_text(encoding="utf-8")


def functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """The functions of a module by name."""
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def lines_of(text: str, node: ast.stmt) -> str:
    """The source of a node, comments inside included."""
    return "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])


# -------------------------------------------------------------------------------- solution.py


def signature(node: ast.FunctionDef) -> str:
    """`def f(r: Tensor, k: int) -> Tensor:`; parameters with a default are not the student's."""
    most = len(node.args.args) - len(node.args.defaults)
    arguments = ", ".join(ast.unparse(a) for a in node.args.args[:most])
    assert node.returns is not None
    return f"def {node.name}({arguments}) -> {ast.unparse(node.returns)}:"


def starter() -> str:
    """The student's solution.py: signatures, docstrings, nothing else."""
    parts = [f"{HEAD}\nfrom collections.abc import Callable\n\nfrom torch import Tensor\n"]
    for name, (file, docstring) in TASKS.items():
        if name == "own":
            parts.append("COEFFICIENTS: list[int] = []  # of `python personal.py YOUR-ID`\n")
        node = functions(ast.parse(source_of(file)))[name]
        body = f'    """{docstring}"""\n    {NOT_YET.format(name)}'
        parts.append(f"{signature(node)}\n{body}\n")
    return "\n\n".join(parts)


def reference(student: str) -> str:
    """A solution.py with everything in it: the project's own functions and what they need."""
    imports: dict[str, str] = {}
    parts: dict[str, str] = {}
    for file in dict.fromkeys(file for file, _ in TASKS.values()):
        text = source_of(file)
        tree = ast.parse(text)
        for node in needed(tree, [name for name, (where, _) in TASKS.items() if where == file]):
            name = ast.unparse(node) if is_import(node) else "/".join(defined(node))
            assert is_import(node) or name not in parts, f"{name} is in two files"
            (imports if is_import(node) else parts)[name] = lines_of(text, node)
    numbers = f"COEFFICIENTS = {list(personal(student).coefficients)}"
    parts["COEFFICIENTS"] = numbers
    return "\n".join(imports.values()) + "\n\n\n" + "\n\n\n".join(parts.values()) + "\n"


def is_import(node: ast.stmt) -> bool:
    """Whether a statement is an import."""
    return isinstance(node, ast.Import | ast.ImportFrom)


def defined(node: ast.stmt) -> list[str]:
    """The names that a statement of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(a.asname or a.name).split(".")[0] for a in node.names]
    targets = [*getattr(node, "targets", []), *([node.target] if hasattr(node, "target") else [])]
    return [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]


def used(node: ast.AST) -> set[str]:
    """All names in a statement."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def needed(tree: ast.Module, names: list[str]) -> Nodes:
    """The statements of a module that these names need, in order."""
    wanted, before = set(names), -1
    while len(wanted) > before:
        before = len(wanted)
        for node in tree.body:
            if not is_import(node) and wanted & set(defined(node)):
                wanted |= used(node)
    return [node for node in tree.body if wanted & set(defined(node))]


# --------------------------------------------------------------------------- the project's files


def without_answers(file: str, text: str) -> str:
    """A file of the project as a student gets it."""
    bodies = dict(BRIDGES.get(file, {}))
    bridged = bool(bodies)
    for name in STRIPPED.get(file, ()):
        mine = NOT_YET if name in TASKS else NOT_HERE
        bodies[name] = mine.format(name)
    for name, body in bodies.items():
        text = with_body(text, name, body)
    if file in DOCSTRINGS:
        text = replaced(text, ast.parse(text).body[0], f'"""{DOCSTRINGS[file]}"""')
    if bridged:
        text = re.sub(
            r"^import torch$", "import torch\n\nimport solution", text, count=1, flags=re.M
        )
        text = (
            text
            if "import solution" in text
            else text.replace("import re\n", "import re\n\nimport solution\n", 1)
        )
    return without_leftovers(text)


def with_body(text: str, name: str, body: str) -> str:
    """The text with another body for one function; its docstring says whose it is."""
    node = functions(ast.parse(text))[name]
    first = node.body[0]
    docstring = "Yours: solution.py." if name in TASKS else "Not part of this homework."
    lines = text.splitlines()
    lines[first.lineno - 1 : node.end_lineno] = [f'    """{docstring}"""', f"    {body}"]
    return "\n".join(lines) + "\n"


def replaced(text: str, node: ast.stmt, by: str) -> str:
    """The text with other lines for a statement, comment lines above it included."""
    lines = text.splitlines()
    start = node.lineno - 1
    while not by and start and lines[start - 1].startswith("#") and "---" not in lines[start - 1]:
        start -= 1
    lines[start : node.end_lineno] = [by] if by else []
    return "\n".join(lines) + "\n"


def without_leftovers(text: str) -> str:
    """Private helpers and imports that nothing public needs any more, taken out."""
    tree = ast.parse(text)
    public = [n for node in tree.body if not is_import(node) for n in defined(node) if n[0] != "_"]
    main = [node for node in tree.body if isinstance(node, ast.If)]
    kept = needed(tree, [*public, "solution", *(n for node in main for n in used(node))])
    for node in reversed(tree.body):
        if defined(node) and node not in kept:
            text = replaced(text, node, "")
    return re.sub(r"\n{4,}", "\n\n\n", text)


def closure(commands: tuple[str, ...]) -> list[str]:
    """Files of the project that these need: what they import, and what that imports. A package
    comes whole, for its modules may be imported by name."""
    todo, found = list(commands), set()
    while todo:
        file = todo.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules.append(node.module)
            for module in modules:
                top = module.split(".")[0]
                todo += [f"{top}.py"] if (ROOT / f"{top}.py").exists() else []
                todo += [str(p.relative_to(ROOT)) for p in sorted((ROOT / top).glob("*.py"))
                         if (ROOT / top / "__init__.py").exists()]  # fmt: skip
    return sorted(found)


# --------------------------------------------------------------------------------- the archives


def student_files(start: Path) -> dict[str, bytes]:
    """What student.zip holds, by name."""
    import json

    from questions import TEMPLATE

    files = {file: without_answers(file, source_of(file)).encode() for file in closure(COMMANDS)}
    files["solution.py"] = starter().encode()
    files["answers.json"] = (json.dumps(TEMPLATE, indent=1) + "\n").encode()
    files["start.pt"] = start.read_bytes()
    files |= {name: (HERE / name).read_bytes() for name in ("assignment.md", "personal.py")}
    files |= {path.name: path.read_bytes() for path in sorted((HERE / "student").glob("*.*"))}
    files |= {name: (ROOT / name).read_bytes() for name in ("requirements.txt", "LICENSE")}
    return files


def grader_files(start: Path) -> dict[str, bytes]:
    """What autograder.zip holds, by name: the project as it is, and the grader in homework/."""
    files = {file: (ROOT / file).read_bytes() for file in closure(COMMANDS)}
    files |= {f"homework/{name}": (HERE / name).read_bytes() for name in GRADER}
    files["homework/dist/start.pt"] = start.read_bytes()
    files |= {path.name: path.read_bytes() for path in sorted((HERE / "gradescope").iterdir())}
    files["requirements.txt"] = (ROOT / "requirements.txt").read_bytes()
    return files


def packed(files: dict[str, bytes]) -> bytes:
    """A zip file with the same bytes every time."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            runs = name.endswith(".sh") or name == "run_autograder"
            info.external_attr = (0o100755 if runs else 0o100644) << 16
            info.create_system, info.compress_type = 3, zipfile.ZIP_DEFLATED
            archive.writestr(info, files[name])
    return whole.getvalue()
