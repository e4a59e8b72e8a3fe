"""The environment of the services: settings of the user are passed on, the others name the embedded parts."""

import hashlib
import os
import secrets
from urllib.parse import quote

from services.common.infra.settings import is_loopback
from services.stack.address import reachable, split_address
from services.stack.data_folder import DataFolder, sync_folder
from services.stack.settings import StackSettings
from services.stack.supervision.process_registry import RUN_VARIABLE


def broker_url(data_folder: DataFolder) -> str:
    """Return the URL of the embedded Valkey."""
    return f"unix://{quote(str(data_folder.valkey_socket))}?db=0"


def secret_key(data_folder: DataFolder) -> str:
    """Return the key of this data folder; create it the first time. Raises: OSError."""
    if not data_folder.secret_key.exists():
        draft = data_folder.secret_key.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(data_folder.secret_key)  # atomic: half a key would be used as a key, and later replaced
        sync_folder(data_folder.root)  # or links signed with it might be void after a power cut
    return data_folder.secret_key.read_text(encoding="ascii").strip()


def visitor_secret(run: str) -> str:
    """Return the secret of gateway and web pages for this run of the stack."""
    return hashlib.sha256(f"visitors {run}".encode()).hexdigest()


def gateway_url(settings: StackSettings) -> str:
    """Return the URL at which the web pages call the gateway."""
    address = reachable(settings.gateway_address)
    return address if address.startswith("unix:") else f"http://{address}"


def web_url(settings: StackSettings) -> str:
    """Return the URL of the web pages for a browser on this machine."""
    return f"http://{reachable(settings.web_address)}"


def web_host(settings: StackSettings) -> str:
    """Return the host that the web pages listen on."""
    parts = split_address(settings.web_address)
    assert parts, "validated: a host and a port"
    return parts[0]


def service_environment(settings: StackSettings, data_folder: DataFolder, run: str) -> dict[str, str]:
    """Return the whole environment of a service. run: the token of this run of the stack."""
    own = {
        "IMAGEBLUR_DATA_DIR": str(data_folder.root),
        "IMAGEBLUR_DATABASE_URL": settings.database_url or f"sqlite:///{data_folder.database}",
        "IMAGEBLUR_BROKER_URL": settings.broker_url or broker_url(data_folder),
        "IMAGEBLUR_BLOB_URL": settings.blob_url or str(data_folder.blobs),
        "IMAGEBLUR_SECRET_KEY": settings.secret_key.get_secret_value()
        if settings.secret_key
        else secret_key(data_folder),
        "IMAGEBLUR_GATEWAY_ADDRESS": settings.gateway_address,
        "IMAGEBLUR_WEB_ADDRESS": settings.web_address,
        "IMAGEBLUR_GATEWAY_URL": os.environ.get("IMAGEBLUR_GATEWAY_URL") or gateway_url(settings),
        "IMAGEBLUR_MAILBOX_PORT": str(settings.mailbox_port),
        "IMAGEBLUR_BLUR_CHILDREN": str(settings.blur_children),
        "IMAGEBLUR_ORDER_WINDOW": str(settings.order_window or 2 * settings.blur_children),
        "IMAGEBLUR_VISITOR_SECRET": os.environ.get("IMAGEBLUR_VISITOR_SECRET") or visitor_secret(run),
        RUN_VARIABLE: run,
    }
    if settings.smtp_host is None:
        own |= {"IMAGEBLUR_MAIL_WARNINGS": os.environ.get("IMAGEBLUR_MAIL_WARNINGS", "false")}
        own |= {"IMAGEBLUR_SMTP_HOST": "127.0.0.1", "IMAGEBLUR_SMTP_PORT": str(settings.mailbox_port)}
        # No e-mail leaves this machine, so nobody needs to be asked.
        own |= {"IMAGEBLUR_UNCONFIRMED_ADDRESSES": settings.unconfirmed_addresses or "results"}
        # E-mails that leave this machine must not contain an address that only works here.
        own |= {"IMAGEBLUR_PUBLIC_URL": settings.public_url or web_url(settings)}
        if is_loopback(web_host(settings)):
            own |= {"IMAGEBLUR_MAILBOX_DIR": str(data_folder.mailbox)}
    else:
        own |= {"IMAGEBLUR_SMTP_HOST": settings.smtp_host}
    return os.environ | own | _bytecode(data_folder)


def _bytecode(data_folder: DataFolder) -> dict[str, str]:
    """Keep bytecode in the run folder if Python may not write it beside the source.

    Otherwise every service would compile the same libraries at every start, which takes longer than everything else.
    """
    if not os.environ.get("PYTHONDONTWRITEBYTECODE") or os.environ.get("PYTHONPYCACHEPREFIX"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(data_folder.run / "bytecode")}
