"""`make demo`: blur real photographs with the whole stack and show the e-mail. Only the images remain."""

import importlib.util
import io
import shutil
import sys
import time
import zipfile
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from imageblur_client import BlurSpec, Client, FindingKind, Gaussian, InputFile, Order, find_faces
from imageblur_client.cli.render import findings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.stack.background import private_stack

# Photographs in the public domain, or given to it (CC0), that come with scikit-image.
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg")
WITH_A_FACE = "astronaut.png"
EMAIL = "you@example.org"
SIGMA = 12.0
MAIL_SECONDS = 30.0
MODELS_SECONDS = 5.0
"""How long a gateway may take to learn what the worker can find."""


def main() -> None:
    """Run the demonstration; exit with 0 if everything arrived."""
    console = Console(highlight=False)
    photographs = _photographs()
    output = Path("demo-output").absolute()
    console.print("Starting Valkey, the services and a mailbox …")
    with private_stack() as stack:
        console.print(f"Ready after {stack.startup_seconds:.1f} s; the gateway is at {stack.gateway_address}.\n")
        with Client(stack.gateway_address) as client:
            finds = _can_find_faces(client)
            order = _order(console, client, photographs, finds=finds)
            if finds:
                _show_findings(console, client, order)
            else:
                console.print("This installation finds no faces: docs/finding.md describes how to install what does.")
            client.send(order.order_id)
        archive = _show(console, _wait_for_email(stack.data_folder.mailbox))
        _write_images(photographs, archive, output)
    console.print(f"\nBefore and after: [bold]{output}[/]\nEverything is stopped.")
    console.print("For your own images: make run")


def _photographs() -> list[Path]:
    package = importlib.util.find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        sys.exit("the photographs are missing: make demo installs them with scikit-image")
    folder = Path(package.submodule_search_locations[0]) / "data"
    return [folder / name for name in PHOTOGRAPHS]


def _can_find_faces(client: Client) -> bool:
    """Return whether a worker can: it has just started, and a gateway may not know of it yet."""
    deadline = time.monotonic() + MODELS_SECONDS
    while time.monotonic() < deadline:
        if any(model.kind == FindingKind.FINDING_KIND_FACE for model in client.limits().find_models):
            return True
        time.sleep(0.2)
    return False


def _show_findings(console: Console, client: Client, order: Order) -> None:
    for image in client.images(order.order_id):
        if image.findings:
            console.print(f"{image.filename}:{findings(image)}", markup=False)


def _order(console: Console, client: Client, photographs: list[Path], *, finds: bool) -> Order:
    spec = BlurSpec(gaussian=Gaussian(sigma_px=SIGMA))
    # In the photograph of a person, her face is found, hidden for good, and looked for once more in the result.
    redacted = BlurSpec(find=[find_faces()]) if finds else None
    files = [InputFile(path, spec=redacted if path.name == WITH_A_FACE else None) for path in photographs]
    begin = time.monotonic()
    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        total = sum(photograph.stat().st_size for photograph in photographs)
        upload = progress.add_task("upload", total=total)
        order = client.order(
            files, email=EMAIL, spec=spec, on_progress=lambda done, _: progress.update(upload, completed=done)
        )
        progress.update(upload, completed=total)
        images = progress.add_task("blur", total=order.counts.total)
        for change in client.watch(order.order_id):
            order = change.order
            progress.update(images, completed=order.counts.succeeded + order.counts.failed)
    seconds = time.monotonic() - begin
    console.print(f"\nOrder {order.order_id}: {order.counts.succeeded} of {order.counts.total} in {seconds:.1f} s")
    if order.counts.succeeded != order.counts.total:
        sys.exit("not all images were blurred")
    return order


def _wait_for_email(mailbox: Path) -> EmailMessage:
    deadline = time.monotonic() + MAIL_SECONDS
    while time.monotonic() < deadline:
        for path in mailbox.glob("new/*"):
            return message_from_bytes(path.read_bytes(), policy=policy.default)
        time.sleep(0.05)
    sys.exit(f"no e-mail arrived within {MAIL_SECONDS:.0f} s")


def _show(console: Console, email: EmailMessage) -> bytes:
    """Print the e-mail and the content of its archive; return the archive."""
    console.print("\nThe e-mail:\n")
    for header in ("From", "To", "Subject", "Date"):
        console.print(f"  {header}: {email[header]}", markup=False)
    body = email.get_body(("plain",))
    assert body, "every e-mail has a plain text"
    console.print("\n" + "\n".join(f"  {line}" for line in body.get_content().strip().splitlines()), markup=False)
    archive: bytes = next(part for part in email.iter_attachments() if part.is_attachment()).get_content()
    with zipfile.ZipFile(io.BytesIO(archive)) as entries:
        console.print(f"\n  Attached: blur_images.zip, {len(archive):,} bytes")
        for entry in entries.infolist():
            console.print(f"    {entry.file_size:>9,}  {entry.filename}", markup=False)
    return archive


def _write_images(photographs: list[Path], archive: bytes, output: Path) -> None:
    output.mkdir(exist_ok=True)
    for photograph in photographs:
        shutil.copy(photograph, output / photograph.name)
    with zipfile.ZipFile(io.BytesIO(archive)) as entries:
        entries.extractall(output)


if __name__ == "__main__":
    main()
