"""Certificates for tests, as files."""

from pathlib import Path

import trustme


class Authority:
    """A root of its own, and what it signs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._authority = trustme.CA()
        self.roots = folder / "roots.pem"
        self._authority.cert_pem.write_to_path(str(self.roots))

    def issue(self, name: str, *identities: str) -> tuple[Path, Path]:
        """Certificate and key for these host names or addresses, in files that are replaced if they are there."""
        signed = self._authority.issue_cert(*identities)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in signed.cert_chain_pems))
        key.write_bytes(signed.private_key_pem.bytes())
        return certificate, key
