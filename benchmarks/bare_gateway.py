"""A gRPC server with the gateway's options and nothing else: Status is answered with an empty message.

`python -m benchmarks.bare_gateway`: what an attack costs in gRPC itself. Prints its port and serves until it is ended.
"""

import asyncio
from typing import Any

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceServicer, add_BlurServiceServicer_to_server

from services.gateway.rpc.grpc_server import make_server


class _Service(BlurServiceServicer):
    async def Status(self, _request: pb.StatusRequest, _context: Any) -> pb.StatusResponse:
        return pb.StatusResponse()

    async def BlurOrder(self, _request: pb.BlurOrderRequest, _context: Any) -> pb.BlurOrderResponse:
        return pb.BlurOrderResponse()


async def _serve() -> None:
    server = make_server([], max_calls=0, max_message_bytes=64 << 20)
    add_BlurServiceServicer_to_server(_Service(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve())
