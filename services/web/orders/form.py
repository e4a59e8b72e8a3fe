"""The page that takes orders. Its script sends them to `order_uploads`; without scripts, its form sends them here."""

from collections.abc import AsyncIterator, Mapping

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import ImageFormat
from imageblur_client.errors import InvalidArgumentError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from services.web.gateway import Gateway
from services.web.http.languages import choose
from services.web.http.problems import RETRY_SECONDS, Problem, Told
from services.web.http.templates import Pages
from services.web.orders import manifest as manifests
from services.web.orders.manifest import Announced, Manifest
from services.web.orders.multipart import BadForm, Form, read_form
from services.web.orders.uploads import CHUNK
from services.web.orders.violations import told

MOST_FORMS = 4
"""Taken in at a time: each may take as much of the disk as the largest order has."""
_NOTHING: dict[str, str] = {
    "email": "",
    "notify": "on",
    "effect": "gaussian",
    "strength": f"{manifests.DEFAULT_STRENGTH:g}",
    "color": "#000000",
    "format": "",
}


class OrderForm:
    """The page, and its form."""

    def __init__(self, gateway: Gateway, pages: Pages) -> None:
        self._gateway = gateway
        self._pages = pages
        self._forms = 0

    async def show(self, request: Request) -> Response:
        """The empty form."""
        return self._page(request, await self._gateway.limits(), _NOTHING)

    async def place(self, request: Request) -> Response:
        """Place the order that the form holds, or show the form again with what is wrong."""
        limits = await self._gateway.limits()
        if self._forms >= MOST_FORMS:
            raise Told(Problem(503, "busy", RETRY_SECONDS))
        self._forms += 1
        try:
            return await self._take(request, limits)
        finally:
            self._forms -= 1

    async def _take(self, request: Request, limits: pb.GetLimitsResponse) -> Response:
        try:
            form = await read_form(request, max_bytes=limits.max_order_bytes, max_files=limits.max_images)
        except ClientDisconnect:
            return Response(status_code=499)  # to nobody
        except BadForm as error:
            raise Told(Problem(413, "too_large") if error.too_large else Problem(400, "bad_request")) from None
        with form:
            return await self._place(request, limits, form)

    async def _place(self, request: Request, limits: pb.GetLimitsResponse, form: Form) -> Response:
        texts = choose(request)
        if not form.files:
            wrong: list[dict[str, object]] = [{"image": None, "field": "images", "message": texts("violation_images")}]
            return self._page(request, limits, form.fields, wrong)
        try:
            manifest = _manifest(form, texts.language)
        except (ValueError, KeyError, TypeError):
            raise Told(Problem(400, "bad_request")) from None
        try:
            async with self._gateway.upload() as sending:
                order_id = await sending.order(manifest, _contents(form))
        except InvalidArgumentError as error:
            wrong = told(texts, error.violations)
            for violation in wrong:
                if isinstance(violation["image"], int):
                    violation["name"] = form.files[violation["image"]].name
            return self._page(request, limits, form.fields, wrong)
        return RedirectResponse(f"/orders/{order_id}", 303)

    def _page(
        self,
        request: Request,
        limits: pb.GetLimitsResponse,
        values: Mapping[str, str],
        violations: list[dict[str, object]] | None = None,
    ) -> Response:
        texts = choose(request)
        return self._pages.page(
            request,
            "order.html",
            status=400 if violations else 200,
            limits=limits,
            days=max(1, round(limits.retention.seconds / 86_400)),
            formats=[ImageFormat.Name(number).removeprefix("IMAGE_FORMAT_") for number in limits.formats],
            values=_NOTHING | {"notify": ""} | dict(values) if violations else values,
            violations=violations or [],
            outputs=manifests.FORMATS,
            least=manifests.LEAST_STRENGTH,
            facts={
                "max_images": limits.max_images,
                "max_image_bytes": limits.max_image_bytes,
                "max_order_bytes": limits.max_order_bytes,
                "words": texts.for_scripts(),
            },
        )


def _manifest(form: Form, language: str) -> Manifest:
    fields = form.fields
    header = pb.OrderHeader(
        email=fields.get("email", "").strip(),
        notify="notify" in fields,
        locale=language,
        spec=manifests.spec_of({name: value for name, value in fields.items() if name != "regions"}),
    )
    return Manifest(header, [Announced(pb.ImageStart(filename=file.name, size_bytes=file.size)) for file in form.files])


async def _contents(form: Form) -> AsyncIterator[AsyncIterator[bytes]]:
    for file in form.files:
        yield form.chunks(file, CHUNK)
