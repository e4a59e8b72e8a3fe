"""The page that accepts orders. Its script sends them to `web/uploads`; without scripts, its form sends them here."""

from collections.abc import AsyncIterator, Mapping

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.order_pb2 import ImageFormat
from imageblur_client.errors import InvalidArgumentError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from services.common.domain.spec import EFFECTS, Format
from services.web.enums import short_name
from services.web.gateway.client import GatewayClient
from services.web.http.languages import texts_for
from services.web.http.problems import RETRY_SECONDS, Problem, ProblemError
from services.web.http.templates import PageRenderer
from services.web.orders import spec_values
from services.web.orders.manifest import KEEP_SECONDS, Manifest, parse_kept
from services.web.orders.multipart import BadForm, read_form
from services.web.orders.uploaded_form import UploadedForm
from services.web.orders.uploads import CHUNK_BYTES
from services.web.orders.violations import violation_messages

MAX_FORMS = 4
"""Forms received at the same time: each may take as much disk space as the largest order."""
_ACCEPT = ",".join(
    part for format_ in Format for part in (format_.media_type, *(f".{extension}" for extension in format_.extensions))
)
"""Which files a browser offers; the script knows the images of a folder by it."""
_DEFAULTS: dict[str, str] = {
    "email": "",
    "notify": "",
    "effect": "gaussian",
    "strength": f"{spec_values.DEFAULT_STRENGTH:g}",
    "color": "#000000",
    "format": "",
    "quality": f"{spec_values.DEFAULT_QUALITY}",
    "find_padding": "",
    "padding": "0",
    "feather": "0",
    **dict.fromkeys(spec_values.NUMBERED_FIELDS, ""),
    "keep_originals": "on",
}


class OrderForm:
    """The page with the form, and what it submits."""

    def __init__(self, gateway: GatewayClient, pages: PageRenderer) -> None:
        self._gateway = gateway
        self._pages = pages
        self._forms = 0

    async def show(self, request: Request) -> Response:
        """Show the empty form."""
        return self._page(request, await self._gateway.limits(), _DEFAULTS)

    async def submit(self, request: Request) -> Response:
        """Place the order of the form, or show the form again with what to correct."""
        limits = await self._gateway.limits()
        if self._forms >= MAX_FORMS:
            raise ProblemError(Problem(503, "busy", RETRY_SECONDS))
        self._forms += 1
        try:
            form = await read_form(request, max_bytes=limits.max_order_bytes, max_files=limits.max_images)
            with form:
                return await self._place(request, limits, form)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody receives it
        except BadForm as error:
            raise ProblemError(Problem(413, "too_large") if error.too_large else Problem(400, "bad_request")) from None
        finally:
            self._forms -= 1

    async def _place(self, request: Request, limits: pb.GetLimitsResponse, form: UploadedForm) -> Response:
        texts = texts_for(request)
        if not form.files:
            missing: dict[str, object] = {"image": None, "field": "images", "message": texts("violation_images")}
            return self._page(request, limits, form.fields, [missing])
        try:
            manifest = _manifest(form, texts.language)
        except spec_values.BadRegion as error:
            message = texts("violation_numbered_region", number=error.number)
            return self._page(request, limits, form.fields, [{"image": None, "field": "regions", "message": message}])
        except (ValueError, KeyError, TypeError):
            raise ProblemError(Problem(400, "bad_request")) from None
        try:
            async with self._gateway.upload() as upload:
                order_id = await upload.send(manifest, _contents(form))
        except InvalidArgumentError as error:
            violations = violation_messages(texts, error.violations)
            for violation in violations:
                if isinstance(violation["image"], int):
                    violation["name"] = form.files[violation["image"]].name
            return self._page(request, limits, form.fields, violations)
        return RedirectResponse(f"/orders/{order_id}", 303)

    def _page(
        self,
        request: Request,
        limits: pb.GetLimitsResponse,
        values: Mapping[str, str],
        violations: list[dict[str, object]] | None = None,
    ) -> Response:
        kinds = {model.kind for model in limits.find_models}
        return self._pages.page(
            request,
            "orders/form.html",
            status=400 if violations else 200,
            limits=limits,
            days=max(1, round(limits.retention.seconds / 86_400)),
            formats=[short_name(ImageFormat, number).upper() for number in limits.input_formats or limits.formats],
            values=_DEFAULTS | {"keep_originals": ""} | dict(values) if violations else values,
            violations=violations or [],
            keep_seconds=min(KEEP_SECONDS, limits.max_keep_originals_for.seconds),
            accept=_ACCEPT,
            output_formats=spec_values.FORMATS,
            effects=tuple(EFFECTS),
            findable=[name for name, kind in spec_values.FINDABLE.items() if kind in kinds],
            min_strength=spec_values.MIN_STRENGTH,
            find_paddings=spec_values.FIND_PADDINGS,
            numbered_regions=spec_values.NUMBERED_REGIONS,
            page_data={
                "max_images": limits.max_images,
                "max_image_bytes": limits.max_image_bytes,
                "max_order_bytes": limits.max_order_bytes,
                "texts": texts_for(request).for_scripts(),
            },
        )


def _manifest(form: UploadedForm, language: str) -> Manifest:
    fields = form.fields
    header = pb.OrderHeader(
        # An address that nothing is to be sent to is not stored.
        email=fields.get("email", "").strip() if "notify" in fields else "",
        notify="notify" in fields,
        locale=language,
        keep_originals_for=parse_kept(fields.get("keep_originals")),
        spec=spec_values.spec_of({name: value for name, value in fields.items() if name != "regions"}),
    )
    return Manifest(header, [pb.ImageStart(filename=file.name, size_bytes=file.size) for file in form.files])


async def _contents(form: UploadedForm) -> AsyncIterator[AsyncIterator[bytes]]:
    for file in form.files:
        yield form.chunks(file, CHUNK_BYTES)
