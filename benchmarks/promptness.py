"""`python -m benchmarks.promptness`: the cost of an idle stack, and its time to blur a photograph.

From the call of BlurOrder to SUCCEEDED over WatchStatus, one 512×512 JPEG at a time, at random intervals.
"""

import argparse
import random
import time

import grpc
import psutil
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub

from benchmarks.orders import spread, timed_order
from benchmarks.photographs import square_jpeg
from benchmarks.processor import processor_seconds
from services.stack.background import private_stack


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--idle-seconds", type=float, default=60)
    arguments = parser.parse_args()
    photograph = square_jpeg()
    with private_stack() as stack, grpc.insecure_channel(stack.gateway_address) as channel:
        service = BlurServiceStub(channel)
        for _ in range(5):  # the first ones warm up
            timed_order(service, photograph)
        time.sleep(2)
        root = psutil.Process(stack.process.pid)
        before = processor_seconds(root)
        time.sleep(arguments.idle_seconds)
        used = processor_seconds(root) - before
        print(f"idle: {100 * used / arguments.idle_seconds:.2f} % of a core over {arguments.idle_seconds:.0f} s")
        times = []
        for _ in range(arguments.orders):
            time.sleep(random.uniform(0, 0.3))
            times.append(timed_order(service, photograph))
    print(f"accepted: {spread([each.accepted for each in times])}")
    print(f"done: {spread([each.done for each in times])}")


if __name__ == "__main__":
    main()
