"""This machine's own name for mail servers, looked up with a timeout."""

import functools
import smtplib

from services.common.infra import log
from services.common.infra.outbound.shared_lookup import SharedLookup

_OWN_NAME_SECONDS = 5.0
_UNKNOWN_NAME = "[127.0.0.1]"

_log = log.get(__name__)
_find_own_name = SharedLookup(lambda _: str(smtplib.SMTP().local_hostname))


@functools.cache
def _own_name() -> str:
    return _find_own_name("of this machine", _OWN_NAME_SECONDS)


def own_name() -> str:
    """Return the name for EHLO as smtplib finds it, with one look-up for all e-mails; else an address."""
    try:
        return _own_name()
    except TimeoutError as error:  # which is not kept
        _log.warning("EHLO without a name", error=str(error))
        return _UNKNOWN_NAME
