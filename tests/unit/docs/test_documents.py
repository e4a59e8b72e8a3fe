"""Documentation that would otherwise go stale."""

import re
from pathlib import Path

import pytest

from tools import document_settings

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", document_settings.DOCUMENTS)
def test_settings_are_documented_as_they_are(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == document_settings.DOCUMENTS[name](), "run 'make settings'"


def test_every_setting_says_what_it_is() -> None:
    undescribed = [n for _, fields in document_settings.sections() for n, f in fields.items() if not f.description]
    assert undescribed == []


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_commands_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE))
    assert {"run", "test", "demo"} <= named
    assert named <= targets


def test_each_attack_has_its_test() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text("utf-8")))
    assert len(named) > 30
    missing = [n for n in named if not re.search(rf"^def {n[1]}\(", (ROOT / n[0]).read_text("utf-8"), re.MULTILINE)]
    assert missing == []
