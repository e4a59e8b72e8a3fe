"""Keep the documents true: settings, links, paths, commands and tests that they name exist."""

import importlib.util
import re
from pathlib import Path

import pytest
import typer.main
from imageblur_client.cli.app import app

from tools import document_settings

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# ARCHITECTURE.md and the ADRs write paths of modules relative to these folders.
FOLDERS = [ROOT, ROOT / "services", ROOT / "services/blur_worker", ROOT / "services/blur_worker/engine/jpeg"]
FILE_TYPES = r"py|md|proto|yml|yaml|json|toml|html|css|js|sh|svg|lock"
GENERATED = ("data/", "demo-output/", "deploy/secrets")


def _name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
# The changelog also names what was removed.
current_document = pytest.mark.parametrize("document", [d for d in DOCUMENTS if d.name != "CHANGELOG.md"], ids=_name)


@pytest.mark.parametrize("name", document_settings.DOCUMENTS)
def test_settings_are_documented_as_they_are(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == document_settings.DOCUMENTS[name](), "run 'make settings'"


def test_every_setting_has_a_description() -> None:
    undescribed = [n for _, fields in document_settings.sections() for n, f in fields.items() if not f.description]
    assert undescribed == []


@every_document
def test_links_lead_to_files_and_headings(document: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", _prose(document)) if "://" not in link]
    assert [link for link in links if not _link_exists(document, link)] == []


@every_document
def test_paths_exist(document: Path) -> None:
    named = re.findall(rf"`((?:[\w.-]+/)*(?:[\w-]+\.(?:{FILE_TYPES})|[\w-]+/))(?::\w+)?`", _prose(document))
    paths = [path for path in named if "/" in path and not path.startswith(GENERATED)]
    if document.name == "ARCHITECTURE.md":
        assert len(paths) > 60
        paths += [path for path in named if path.endswith(".py")]
    folders = [*FOLDERS, document.parent]
    assert [path for path in paths if not any((folder / path).exists() for folder in folders)] == []


@current_document
def test_commands_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", text, re.MULTILINE)) <= targets
    modules = re.findall(r"python -m ((?:services|benchmarks|tools|tests|deploy)[\w.]*\w)", text)
    assert [module for module in modules if not importlib.util.find_spec(module)] == []


@current_document
def test_commands_of_the_client_exist(document: Path) -> None:
    group = typer.main.get_command(app)
    commands = set(group.commands)  # type: ignore[attr-defined]
    admin = set(group.commands["admin"].commands)  # type: ignore[attr-defined]
    text = document.read_text("utf-8")
    assert set(re.findall(r"\bimageblur admin ([a-z][a-z-]*)", text)) <= admin
    assert set(re.findall(r"(?:^|`|/)imageblur ([a-z][a-z-]*)", text, re.MULTILINE)) <= commands


@current_document
def test_error_reasons_exist(document: Path) -> None:
    reasons = re.findall(r"\((?:[A-Z]+ )?((?!IMAGEBLUR)[A-Z]+(?:_[A-Z]+)+)\)", _prose(document))
    source = "".join(path.read_text("utf-8") for path in (ROOT / "services").rglob("*.py")) if reasons else ""
    assert [reason for reason in reasons if f'"{reason}"' not in source] == []


def test_the_readme_shows_the_commands_of_the_first_minutes() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert {"run", "test", "demo", "mailing"} <= set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))


def test_each_attack_has_its_test() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text("utf-8")))
    assert len(named) > 30
    missing = [n for n in named if not re.search(rf"^def {n[1]}\(", (ROOT / n[0]).read_text("utf-8"), re.MULTILINE)]
    assert missing == []


def test_each_kind_of_file_has_its_tests() -> None:
    section = (ROOT / "docs/formats.md").read_text("utf-8").partition("## Files that were decoded wrongly once")[2]
    rows = re.findall(r"^\| .* \| `(\w+\.py)`: (.*) \|$", section, re.MULTILINE)
    assert len(rows) > 15
    for module, tests in rows:
        (path,) = (ROOT / "tests/unit/engine").rglob(module)
        source = path.read_text("utf-8")
        assert [test for test in re.findall(r"`(\w+)`", tests) if f"def {test}(" not in source] == []


def _prose(document: Path) -> str:
    """Return a document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def _link_exists(document: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = document.parent / path if path else document
    if not target.exists():
        return False
    headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE) if heading else []
    return not heading or heading in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
