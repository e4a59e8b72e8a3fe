"""A gRPC server with the gateway's options and nothing else: its only method, Status, returns an empty message.

`python -m benchmarks.bare_gateway`: what an attack costs in gRPC itself. Prints its port and serves until it is ended.
"""

import asyncio
from typing import Any

import grpc
from imageblur.v1 import blur_service_pb2 as pb

from services.gateway.rpc.grpc_server import make_server


async def _status(_request: pb.StatusRequest, _context: Any) -> pb.StatusResponse:
    return pb.StatusResponse()


async def _serve() -> None:
    server = make_server([], max_calls=0, max_message_bytes=64 << 20)
    status = grpc.unary_unary_rpc_method_handler(
        _status, pb.StatusRequest.FromString, pb.StatusResponse.SerializeToString
    )
    service = "imageblur.v1.BlurService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Status": status}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve())
