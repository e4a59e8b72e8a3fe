"""The health check of the pages."""

from imageblur_client.errors import AccessDeniedError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.common.infra import log
from services.web.gateway.client import GatewayClient

_log = log.get(__name__)


class HealthCheck:
    """The pages are healthy if the gateway responds."""

    def __init__(self, gateway: GatewayClient) -> None:
        self._gateway = gateway

    async def check(self, _request: Request) -> Response:
        """Return 200 if the gateway responds; its error otherwise."""
        try:
            await self._gateway.limits()
        except AccessDeniedError as error:
            # Still 200: a restart of the pages would not change their key.
            _log.error("the gateway refused IMAGEBLUR_GATEWAY_KEY", error=str(error))
            return JSONResponse({"status": "refused by the gateway"})
        return JSONResponse({"status": "serving"})
