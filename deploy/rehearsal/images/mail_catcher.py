# ruff: noqa: INP001, S104 - not a module of a package: copied into an image, whose network is the composition's
"""Keeps e-mails (SMTP on 1025) and shows them on 8025, as far as the rehearsal needs what Mailpit shows there."""

import asyncio
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

_kept: list[bytes] = []


class _Keep:
    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: object, envelope: Any
    ) -> str:
        _kept.append(envelope.original_content)
        return "250 OK"


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/api/v1/")
        if path == "messages":
            self._send(json.dumps({"messages": [{"ID": str(number)} for number in range(len(_kept))]}).encode())
        elif path.startswith("message/") and path.endswith("/raw"):
            self._send(_kept[int(path.split("/")[1])])
        else:
            self.send_error(404)

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


Controller(_Keep(), hostname="0.0.0.0", port=1025, loop=asyncio.new_event_loop(), data_size_limit=1 << 26).start()
ThreadingHTTPServer(("0.0.0.0", 8025), _Pages).serve_forever()
