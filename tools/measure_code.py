"""Print figures of the code: modules per folder, class names used twice, unwanted words, the longest functions, lines.

With `--check`, which `make lint` runs, only exit with 1 if a class name is used twice or an unwanted word is left.
"""

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
UNWANTED = {
    "tell": "report",
    "tells": "reports",
    "told": "reported",
    "say": "describe",
    "says": "describes",
    "said": "described",
    "heard": "received",
    "stands": "is",
    "surely": "a named timeout",
    "hasty": "fail_fast",
    "politely": "poll",
    "whoever": "the caller",
    "lately": "recent",
    "deed": "audit entry",
    "errand": "operator job",
    "UnfitError": "UnsupportedJpeg",
    "uncounted": "without counting the attempt",
}
"""Words that a newcomer stumbled over, each with what is written instead."""
# The history of names, and what is generated of files that are searched.
_SKIPPED = (
    "CHANGELOG.md",
    "services/common/migrations/",
    "services/web/api/openapi.json",
    "tests/",
    "tools/measure_code.py",
)
_TEXT = {".py", ".proto", ".md", ".html", ".txt", ".css", ".js", ".yml", ".yaml", ".toml", ".sh"}
_WORD = re.compile(rf"(?<![\w.])({'|'.join(UNWANTED)})\b(?!\()", re.IGNORECASE)


def main() -> None:
    """Print the figures."""
    files = [name for name in _output("git", "ls-files") if (ROOT / name).is_file() and "_pb2" not in name]
    modules = [name for name in files if name.endswith(".py")]
    trees = {name: ast.parse((ROOT / name).read_text("utf-8")) for name in modules}
    product = {name: tree for name, tree in trees.items() if not name.startswith("tests/")}
    twice = list(_used_twice(product))
    words = list(_unwanted(files))
    if "--check" in sys.argv:
        sys.exit("\n".join([*twice, *words]) or 0)
    _print_folders(modules)
    print(f"\nclass names used twice: {len(twice)}", *twice, sep="\n  ")
    print(f"\nwords left: {len(words)}", *words, sep="\n  ")
    print("\nlongest functions, in lines:")
    for length, name in sorted(_functions(product), reverse=True)[:10]:
        print(f"  {length:>4} {name}")


def _output(*command: str) -> Sequence[str]:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()


def _used_twice(trees: dict[str, ast.Module]) -> Iterator[str]:
    places = defaultdict(list)
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{name}:{node.lineno}")
    yield from (f"class {name} is in {', '.join(where)}" for name, where in sorted(places.items()) if len(where) > 1)


def _unwanted(files: Sequence[str]) -> Iterator[str]:
    for name in files:
        if name.startswith(_SKIPPED) or PurePosixPath(name).suffix not in _TEXT:
            continue
        for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), 1):
            for found in _WORD.finditer(line):
                yield f"{name}:{number}: {found[1]!r}; write {UNWANTED.get(found[1], UNWANTED.get(found[1].lower()))!r}"


def _functions(trees: dict[str, ast.Module]) -> Iterator[tuple[int, str]]:
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{name}:{node.lineno} {node.name}"


def _print_folders(modules: Sequence[str]) -> None:
    lines = {name: (ROOT / name).read_text("utf-8").count("\n") for name in modules}
    for top in sorted({name.split("/")[0] for name in modules}):
        of_top = {name: count for name, count in lines.items() if name.startswith(f"{top}/")}
        folders = Counter(str(PurePosixPath(name).parent) for name in of_top if not name.endswith("__init__.py"))
        most = ", ".join(f"{folder} {count}" for folder, count in folders.most_common(3))
        print(f"{top}: {sum(of_top.values()):,} lines, {len(of_top)} modules; most in a folder: {most}")
    print(f"all: {sum(lines.values()):,} lines, {len(lines)} modules")


if __name__ == "__main__":
    main()
