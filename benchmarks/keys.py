"""`python -m benchmarks.keys`: whether the time of a refusal reveals anything about an API key.

Calls alternate between an unknown key, a revoked one, one that differs from a live one in its last character, and a
live one, against a gateway that requires keys. Measured at the client, over one connection.
"""

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import time

import grpc
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import operator_pb2
from imageblur.v1 import operator_service_pb2 as operator_pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub

from services.common.domain.api_keys import new_key
from services.common.infra.settings import PREFIX
from services.stack.background import BackgroundStack, private_stack

Metadata = tuple[tuple[str, str], ...]


def bearer(key: str) -> Metadata:
    """A key as a call carries it."""
    return (("authorization", f"Bearer {key}"),)


def first_key(stack: BackgroundStack) -> str:
    """An administrator's key, made beside the running gateway."""
    environment = os.environ | {f"{PREFIX}DATABASE_URL": f"sqlite:///{stack.data_folder.database}"}
    command = [sys.executable, "-m", "services.gateway", "create-key", "benchmark"]
    made = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    return made.stdout.strip()


def seconds(blur: BlurServiceStub, key: str) -> float:
    """How long the answer to a call took."""
    begin = time.perf_counter()
    with contextlib.suppress(grpc.RpcError):
        blur.GetLimits(pb.GetLimitsRequest(), metadata=bearer(key))
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2_000)
    rounds = parser.parse_args().rounds
    with (
        private_stack({f"{PREFIX}REQUIRE_KEYS": "true"}) as stack,
        grpc.insecure_channel(stack.gateway_address) as channel,
    ):
        live = first_key(stack)
        time.sleep(3)  # until every gateway has read it
        operator = OperatorServiceStub(channel)
        request = operator_pb.CreateApiKeyRequest(name="revoked", role=operator_pb2.API_KEY_ROLE_CLIENT)
        made = operator.CreateApiKey(request, metadata=bearer(live))
        operator.RevokeApiKey(
            operator_pb.RevokeApiKeyRequest(api_key_id=made.api_key.api_key_id), metadata=bearer(live)
        )
        time.sleep(3)
        nearly = live[:-1] + ("A" if live[-1] != "A" else "B")
        keys = {"unknown": new_key(), "revoked": made.key, "nearly a live one": nearly, "live": live}
        times: dict[str, list[float]] = {name: [] for name in keys}
        blur, order = BlurServiceStub(channel), list(keys)
        for _ in range(rounds):
            random.shuffle(order)
            for name in order:
                times[name].append(seconds(blur, keys[name]))
    for name, taken in times.items():
        low, middle, high = statistics.quantiles(taken, n=4)
        print(f"{name:18} p50 {1e6 * middle:6.0f} us, quartiles {1e6 * low:.0f} to {1e6 * high:.0f}")


if __name__ == "__main__":
    main()
