"""The blurring service of a Panoramax instance, as their documentation describes it and their server calls it.

See blur_api of https://docs.panoramax.fr: POST `{API_BLUR_URL}/blur/` with the picture as the part `picture`, `keep=1`
optional. The answer is the picture, blurred, as JPEG, with all of its EXIF, or with `Accept: multipart/form-data` a
form of `image` and `metadata`.
"""

import http.client
import io
import json
import secrets
from email import policy
from email.message import Message
from email.parser import BytesParser
from urllib.parse import urlsplit

import pytest
from imageblur_client import Client, find_faces
from PIL import Image

from services.stack.background import BackgroundStack
from tests.e2e.test_finding import ASTRONAUT, finder

__all__ = ["finder"]

CAMERA, GPS = 0x0110, 0x8825


def picture(kind: str) -> bytes:
    """The astronaut, with a camera and a position."""
    exif = Image.Exif()
    exif[CAMERA] = "GoPro Max"
    exif.get_ifd(GPS)[1] = "N"
    content = io.BytesIO()
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").save(content, kind, exif=exif)
    return content.getvalue()


def post(
    stack: BackgroundStack, data: bytes, query: str = "", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    boundary = secrets.token_hex(8)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="picture"; filename="picture.jpg"\r\n'
    body = f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + data + f"\r\n--{boundary}--\r\n".encode()
    connection = http.client.HTTPConnection(urlsplit(stack.web).netloc, timeout=120)
    headers |= {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    connection.request("POST", f"/blur/{query}", body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert response.status == 200, content
    return response, content


def check(result: bytes, client: Client) -> None:
    """A JPEG without the face, with its EXIF."""
    with Image.open(io.BytesIO(result), formats=["JPEG"]) as image:
        assert image.getexif()[CAMERA] == "GoPro Max"
        assert image.getexif().get_ifd(GPS)[1] == "N"
    assert not client.find_regions(("a.jpg", result), [find_faces()]).findings


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_of_any_format_comes_back_as_a_jpeg(stack: BackgroundStack, finder: Client, kind: str) -> None:
    response, result = post(stack, picture(kind))
    assert response.headers["Content-Type"] == "image/jpeg"
    check(result, finder)


def test_a_form_with_metadata(stack: BackgroundStack, finder: Client) -> None:
    response, content = post(stack, picture("JPEG"), "?keep=1", Accept="multipart/form-data")
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    form = BytesParser(policy=policy.HTTP).parsebytes(head + content)
    assert form.get_content_type() == "multipart/form-data"
    parts: dict[str, Message] = {part["content-disposition"].params["name"]: part for part in form.iter_parts()}
    metadata = json.loads(str(parts["metadata"].get_payload()))
    # An empty blurring_id: nothing that was hidden can be brought back.
    assert metadata == {"blurring_id": "", "service_name": "ImageBlur", "annotations": []}
    image = parts["image"].get_payload(decode=True)
    assert isinstance(image, bytes)
    check(image, finder)
