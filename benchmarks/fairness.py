"""`python -m benchmarks.fairness`: the time of one photograph that is ordered behind 2,000 others.

Compared with the fair time: 1.5 × (time of one image × (children + 1)) + an order on an idle stack.
"""

import argparse
import itertools
import os
import random
import time
from statistics import median

import grpc
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client import Client

from benchmarks.orders import spread, timed_order
from benchmarks.photographs import square_jpeg
from services.stack.background import private_stack


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--behind", type=int, default=2000)
    parser.add_argument("--orders", type=int, default=30)
    arguments = parser.parse_args()
    photograph, children = square_jpeg(), os.cpu_count() or 1
    with (
        private_stack() as stack,
        Client(stack.gateway_address) as client,
        grpc.insecure_channel(stack.gateway_address) as channel,
    ):
        service = BlurServiceStub(channel)
        idle = [timed_order(service, photograph).done for _ in range(30)][5:]
        large = client.order("large@example.org", [("a.jpg", photograph)] * arguments.behind)
        behind = []
        for _ in range(arguments.orders):
            time.sleep(random.uniform(0, 0.2))
            behind.append(timed_order(service, photograph).done)
        status = service.Status(pb.StatusRequest(order_id=large.order_id)).order
        ended = itertools.islice(client.images(large.order_id), status.counts.succeeded)
        ends = [i.finish_time.ToMilliseconds() for i in ended if i.HasField("finish_time")]
        # Not from claims to ends: some of that is spent waiting for a child.
        each = children * (max(ends) - min(ends)) / len(ends)
        client.cancel(large.order_id)
    bound = 1.5 * each * (children + 1) + median(idle)
    print(f"one image in a child, by how many ended: {each:.1f} ms; {children} children")
    print(f"order of one image, idle: {spread(idle)}")
    print(f"order of one image behind {arguments.behind}: {spread(behind)}")
    print(f"fair: {bound:.1f} ms; the median takes {median(behind) / bound:.2f} of it")
    print(f"when the last of them was done, {status.counts.succeeded} of {arguments.behind} others were")


if __name__ == "__main__":
    main()
