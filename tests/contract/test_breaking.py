"""The protos are compared with those of the last release."""

import subprocess
from pathlib import Path

import pytest

from tools.check_breaking import check

PROTO = """syntax = "proto3";

package example.v1;

message Order {
  string name = 1;
%s}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a release of one message."""
    git(tmp_path, "init", "--quiet")
    write(tmp_path, "  string place = 2;\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Release")
    git(tmp_path, "tag", "v0.9.0")
    return tmp_path


def git(checkout: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=checkout, check=True)


def write(checkout: Path, fields: str) -> None:
    proto = checkout / "protos/example/v1/order.proto"
    proto.parent.mkdir(parents=True, exist_ok=True)
    proto.write_text(PROTO % fields, "utf-8")


def test_a_field_may_be_added_and_not_be_removed(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(checkout, "  string place = 2;\n  string time = 3;\n")
    assert check(checkout) == 0
    write(checkout, "")
    assert check(checkout) > 0
    assert '"place"' in capfd.readouterr().out


def test_the_newest_release_counts(checkout: Path) -> None:
    write(checkout, "  string place = 2;\n  string time = 3;\n")
    git(checkout, "commit", "--quiet", "--all", "--message", "Release")
    git(checkout, "tag", "v0.10.0")
    write(checkout, "  string place = 2;\n")
    assert check(checkout) > 0


def test_without_releases_or_git_nothing_is_compared(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(checkout, "")
    with monkeypatch.context() as changed:
        changed.setenv("PATH", "")
        assert check(checkout) == 0
    git(checkout, "tag", "--delete", "v0.9.0")
    assert check(checkout) == 0
    assert check(checkout / "protos") == 0
