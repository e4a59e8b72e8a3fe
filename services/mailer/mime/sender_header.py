"""The header fields with our own address: From and Reply-To.

The library drops the quotes of a name when it folds it (python/cpython#80222): a long name with a comma would become
several addresses.
"""

import re
from email.header import Header
from email.headerregistry import UniqueAddressHeader
from email.policy import Policy

_LINE_CHARACTERS = 78
"""RFC 5322, section 2.1.1."""
_LONGEST_WORD = 60
"""A name with a longer word is encoded, which can be folded anywhere."""
_ATOMS = re.compile(r"[\w!#$%&'*+/^`{|}~ -]+", re.ASCII)
"""Names that need no quotes (RFC 5322, section 3.2.3), without = and ?, which begin encoded words."""
_SPECIAL = re.compile(r'([\\"])')


class SenderHeader(UniqueAddressHeader):
    """A header field of one address in ASCII whose name is one quoted string or encoded, however long it is."""

    def fold(self, *, policy: Policy) -> str:
        """Return the field in lines."""
        (sender,) = self.addresses
        field, name = str(self.name), str(sender.display_name)  # type: ignore[attr-defined]
        address = f"<{sender.addr_spec}>"
        if not name:
            parts = [f"{field}: {sender.addr_spec}"]
        elif _can_be_quoted(name):
            escaped = _SPECIAL.sub(r"\\\1", name)
            quoted = name if _ATOMS.fullmatch(name) else f'"{escaped}"'
            parts = f"{field}: {quoted} {address}".split(" ")
        else:
            encoded = Header(name, "utf-8", header_name=field, maxlinelen=_LINE_CHARACTERS - 2).encode(linesep="\n")
            parts = [f"{field}:", *encoded.split(), address]
        lines = [parts[0]]
        for part in parts[1:]:
            if len(lines[-1]) + 1 + len(part) > _LINE_CHARACTERS:
                lines.append("")
            lines[-1] += f" {part}"
        return "".join(line + policy.linesep for line in lines)


def _can_be_quoted(name: str) -> bool:
    """Return whether a name is ASCII that can be folded at single spaces."""
    return name.isascii() and name.split() == name.split(" ") and all(len(it) <= _LONGEST_WORD for it in name.split())
