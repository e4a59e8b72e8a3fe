"""Write `.env.example` and `docs/settings.md` from the settings classes, or check that they are current."""

import argparse
import sys
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from services.blur_worker.settings import BlurWorkerSettings
from services.common.infra.settings import PREFIX, CommonSettings
from services.gateway.settings import GatewaySettings
from services.mailer.settings import MailerSettings
from services.scheduler.settings import SchedulerSettings
from services.stack.settings import StackSettings
from services.web.settings import WebSettings

ROOT = Path(__file__).resolve().parent.parent
SECTIONS: tuple[tuple[str, type[BaseSettings]], ...] = (
    ("All services", CommonSettings),
    ("Gateway", GatewaySettings),
    ("Blur worker", BlurWorkerSettings),
    ("Mailer", MailerSettings),
    ("Scheduler", SchedulerSettings),
    ("Web pages", WebSettings),
    ("One-machine stack (`make run`)", StackSettings),
)


def sections() -> list[tuple[str, dict[str, FieldInfo]]]:
    """Each section's settings that none before it had, by variable."""
    seen: set[str] = set()
    result = []
    for title, settings in SECTIONS:
        fields = {name: field for name, field in settings.model_fields.items() if name not in seen}
        seen |= set(fields)
        result.append((title, {PREFIX + name.upper(): field for name, field in fields.items()}))
    return result


def default(field: FieldInfo) -> str:
    """A default as it would be written into `.env`; empty where there is none, or the machine decides."""
    value = field.default
    if value is PydanticUndefined or value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def env_example() -> str:
    """The text of `.env.example`."""
    lines = ["# Copy to .env and change what you need: every setting with its default. Empty: see docs/settings.md."]
    for title, fields in sections():
        lines += ["", f"# {title.replace('`', '')}"]
        lines += [f"#{name}={default(field)}" for name, field in fields.items()]
    return "\n".join(lines) + "\n"


def table() -> str:
    """The text of `docs/settings.md`."""
    lines = [
        "# Settings",
        "",
        "Environment variables, or lines of a `.env` in the folder where a service is started. A wrong one stops the",
        "service at its start with a sentence that names it. Written by `python -m tools.document_settings`.",
    ]
    for title, fields in sections():
        lines += ["", f"## {title}", "", "| setting | default | meaning |", "| --- | --- | --- |"]
        for name, field in fields.items():
            shown = f"`{default(field)}`" if default(field) else "required" if field.is_required() else "–"
            lines.append(f"| `{name}` | {shown} | {(field.description or '').replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


DOCUMENTS = {".env.example": env_example, "docs/settings.md": table}


def main() -> None:
    """Write, or with --check exit with 1 where a document is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if something is out of date")
    check = parser.parse_args().check
    stale = [name for name, text in DOCUMENTS.items() if _read(name) != text()]
    if not check:
        for name in stale:
            (ROOT / name).write_text(DOCUMENTS[name](), encoding="utf-8")
    elif stale:
        sys.exit(f"out of date: {', '.join(stale)}; run 'make settings'")


def _read(name: str) -> str:
    path = ROOT / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    main()
