"""What the services are told: what the user has set is passed on as it is, the rest is embedded."""

import os
import secrets
from urllib.parse import quote

from services.common.infra.settings import is_loopback
from services.stack.address import reachable, split_address
from services.stack.data_folder import Places
from services.stack.leftovers import RUN_VARIABLE
from services.stack.settings import StackSettings


def broker_url(places: Places) -> str:
    """Address of the embedded Valkey."""
    return f"unix://{quote(str(places.valkey_socket))}?db=0"


def secret_key(places: Places) -> str:
    """The key of this data folder, made the first time. Raises: OSError."""
    if not places.secret_key.exists():
        draft = places.secret_key.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(places.secret_key)  # whole or not at all: half a key would be a key, and later another one
    return places.secret_key.read_text(encoding="ascii").strip()


def gateway_url(settings: StackSettings) -> str:
    """Where the web pages find the gateway."""
    address = reachable(settings.gateway_address)
    return address if address.startswith("unix:") else f"http://{address}"


def web_url(settings: StackSettings) -> str:
    """Where the web pages are, for a browser on this machine."""
    return f"http://{reachable(settings.web_address)}"


def web_host(settings: StackSettings) -> str:
    """The host that the web pages listen on."""
    parts = split_address(settings.web_address)
    assert parts, "it has a port"
    return parts[0]


def service_environment(settings: StackSettings, places: Places, run: str) -> dict[str, str]:
    """The whole environment of a service."""
    own = {
        "IMAGEBLUR_DATA_DIR": str(places.data),
        "IMAGEBLUR_DATABASE_URL": settings.database_url or f"sqlite:///{places.database}",
        "IMAGEBLUR_BROKER_URL": settings.broker_url or broker_url(places),
        "IMAGEBLUR_BLOB_URL": settings.blob_url or str(places.blobs),
        "IMAGEBLUR_SECRET_KEY": settings.secret_key.get_secret_value() if settings.secret_key else secret_key(places),
        "IMAGEBLUR_GATEWAY_ADDRESS": settings.gateway_address,
        "IMAGEBLUR_WEB_ADDRESS": settings.web_address,
        "IMAGEBLUR_GATEWAY_URL": os.environ.get("IMAGEBLUR_GATEWAY_URL") or gateway_url(settings),
        "IMAGEBLUR_MAILBOX_PORT": str(settings.mailbox_port),
        "IMAGEBLUR_BLUR_CHILDREN": str(settings.blur_children),
        "IMAGEBLUR_ORDER_WINDOW": str(settings.order_window or 2 * settings.blur_children),
        RUN_VARIABLE: run,
    }
    if settings.smtp_host is None:
        own |= {"IMAGEBLUR_SMTP_HOST": "127.0.0.1", "IMAGEBLUR_SMTP_PORT": str(settings.mailbox_port)}
        # Into e-mails that leave this machine, an address that only works here must not get.
        own |= {"IMAGEBLUR_PUBLIC_URL": settings.public_url or web_url(settings)}
        if is_loopback(web_host(settings)):
            own |= {"IMAGEBLUR_MAILBOX_DIR": str(places.mailbox)}
    else:
        own |= {"IMAGEBLUR_SMTP_HOST": settings.smtp_host}
    return os.environ | own | _bytecode(places)


def _bytecode(places: Places) -> dict[str, str]:
    """Where Python is told to write no bytecode beside the source, it goes to the run folder.

    Otherwise each of the services compiles the same libraries at each start, which takes longer than all else.
    """
    if not os.environ.get("PYTHONDONTWRITEBYTECODE") or os.environ.get("PYTHONPYCACHEPREFIX"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(places.run / "bytecode")}
