"""What services/mailer/mime/dkim.py relies on in dkimpy, which documents none of it."""

import base64
import inspect

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.mailer.mime.dkim import BodyHash, DkimSigner

HEAD = b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject:  Hi \r\n there\r\n"
BODY = b"one \r\n\r\n.two\r\n\r\n\r\n"


def test_gen_header_builds_the_field_from_the_body_hash() -> None:
    names = list(inspect.signature(dkim.DKIM.gen_header).parameters)
    assert names == ["self", "fields", "include_headers", "canon_policy", "header_name", "pk", "standardize"]


def test_sign_takes_the_arguments_that_the_mailer_gives() -> None:
    parameters = inspect.signature(dkim.DKIM.sign).parameters
    assert list(parameters)[:4] == ["self", "selector", "domain", "privkey"]
    assert {"canonicalize", "include_headers"} <= set(parameters)


def test_headers_are_a_list_of_pairs() -> None:
    assert [name.lower() for name, _ in dkim.DKIM(HEAD + b"\r\n").headers] == [b"from", b"to", b"subject"]


def test_a_message_signed_without_its_body_verifies_with_it() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = BodyHash()
    digest.update(BODY)
    field = DkimSigner(key=pem, selector="s", domain="example.org").sign(HEAD, digest)

    def verifies(message: bytes) -> bool:
        record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
        return bool(dkim.verify(message, dnsfunc=lambda *_, **__: record))

    assert field.startswith(b"DKIM-Signature: ")
    assert verifies(field + HEAD + b"\r\n" + BODY)
    assert verifies(field + HEAD.replace(b"Subject:  Hi \r\n there", b"SUBJECT: Hi there") + b"\r\n" + BODY), "relaxed"
    assert not verifies(field + HEAD + b"\r\n" + BODY.replace(b"one ", b"one")), "simple"
    assert not verifies(field + HEAD.replace(b"Hi", b"Ho") + b"\r\n" + BODY)
    # The library's own signature of the whole message has the same hash of the body.
    own = dkim.sign(HEAD + b"\r\n" + BODY, b"s", b"example.org", pem, canonicalize=(b"relaxed", b"simple"))
    assert own.partition(b"bh=")[2].partition(b";")[0].split() == field.partition(b"bh=")[2].partition(b";")[0].split()
