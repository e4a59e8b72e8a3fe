"""`.venv/bin/python -m deploy.rehearsal.walk`: send an order through a running compose.yaml.

Uses grpcurl, like any client: health, an order of many images, one blur worker killed meanwhile, status until the end,
the e-mail. Reads COMPOSE (`docker compose` by default), and KEY, an API key of a client. Exits with 1 if a promise is
broken.
"""

import base64
import io
import os
import shlex
import subprocess
import sys
import time
import uuid
from typing import Any

from PIL import Image

from deploy.rehearsal.calls import GATEWAYS, grpc

COMPOSE = shlex.split(os.environ.get("COMPOSE", "docker compose"))
IMAGES, ATTEMPTS = 40, 10
SIZE = (1600, 1200)


def photograph(number: int) -> str:
    """Return a JPEG in base64, as grpcurl expects bytes."""
    buffer = io.BytesIO()
    Image.effect_mandelbrot(SIZE, (-2.0 + number / 100, -1.2, 0.6, 1.2), 60).save(buffer, "JPEG", quality=70)
    return base64.b64encode(buffer.getvalue()).decode()


def workers() -> list[str]:
    """Return the containers of the blur workers."""
    listed = subprocess.run([*COMPOSE, "ps", "-q", "blur_worker"], capture_output=True, text=True, check=True)  # noqa: S603
    return listed.stdout.split()


def status(order_id: str, gateway: str) -> dict[str, Any]:
    """Return the order."""
    order: dict[str, Any] = grpc("imageblur.v1.BlurService/Status", {"order_id": order_id}, gateway)["order"]
    return order


def blur(images: list[dict[str, str]]) -> bool:
    """Send an order, kill a worker in the middle of it, and wait for its e-mail.

    Returns:
        Whether a worker was killed before the order ended. Exits with 1 if a promise is broken.
    """
    # An address gets the next e-mail in a day, unless it is confirmed.
    address = f"rehearsal-{uuid.uuid4()}@example.org"
    header = {"email": address, "notify": True, "spec": {"gaussian": {"sigma_px": 8}}}
    order_id = grpc("imageblur.v1.BlurService/BlurOrder", {"order": header, "images": images})["order"]["order_id"]
    print("accepted", order_id)
    deadline, killed = time.monotonic() + 180, False
    while True:
        order = status(order_id, GATEWAYS[1])
        done = int(order["counts"].get("succeeded", 0))
        if not killed and 0 < done < IMAGES - 4:
            victim = workers()[0]
            subprocess.run(["docker", "kill", "--signal", "KILL", victim], check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607
            killed = True
            print(f"killed {victim[:12]} after {done} of {IMAGES} images")
        if order["state"] not in {"ORDER_STATE_QUEUED", "ORDER_STATE_RUNNING"}:
            break
        if time.monotonic() > deadline:
            sys.exit(f"not in time: {order}")
        time.sleep(0.1)
    print(order["state"], order["counts"])
    while order["deliveries"][0]["state"] not in {"DELIVERY_STATE_SENT", "DELIVERY_STATE_FAILED"}:
        if time.monotonic() > deadline:
            sys.exit(f"no e-mail in time: {order['deliveries']}")
        time.sleep(0.2)
        order = status(order_id, GATEWAYS[0])
    print("mail:", order["deliveries"][0]["state"])
    if done != IMAGES or order["deliveries"][0]["state"] != "DELIVERY_STATE_SENT":
        sys.exit("a promise is broken")
    return killed


def main() -> None:
    """Send orders until one was in the middle when a worker was killed, and print each step."""
    for gateway in GATEWAYS:
        print(gateway, grpc("grpc.health.v1.Health/Check", {}, gateway))
    images = [{"filename": f"{number}.jpg", "data": photograph(number)} for number in range(IMAGES)]
    if not any(blur(images) for _ in range(ATTEMPTS)):
        sys.exit("each order ended before a worker could be killed")


if __name__ == "__main__":
    main()
