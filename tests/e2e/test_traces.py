"""What was done for an order is one trace, over all services."""

from hashlib import sha256

from imageblur_client import Client

from tests.e2e.conftest import PHOTOGRAPHS
from tests.support.otlp import TraceReceiver
from tests.support.waiting import eventually


def test_an_order_is_one_trace(client: Client, traces: TraceReceiver) -> None:
    order = client.order("traced@example.org", [PHOTOGRAPHS / "rocket.jpg"] * 2, notify=True)
    for _ in client.watch(order.order_id):
        pass

    trace_id = sha256(f"imageblur trace {order.order_id}".encode()).digest()[:16]

    def whole() -> bool:
        # Those of other tests' orders arrive late, in batches.
        new = [(service, span) for service, span in traces.spans() if span.trace_id == trace_id]
        done = sorted((service, span.name) for service, span in new)
        assert done == [
            ("imageblur-blur_worker", "blur_image"),
            ("imageblur-blur_worker", "blur_image"),
            ("imageblur-gateway", "StreamBlurOrder"),
            ("imageblur-mailer", "send_email"),
        ]
        upload, *rest = sorted((span for _, span in new), key=lambda span: span.start_time_unix_nano)
        assert upload.name == "StreamBlurOrder"
        assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in rest)
        said = str([span for _, span in new])
        assert not [secret for secret in ("traced@", "rocket", order.order_id) if secret in said]
        return True

    eventually(whole, every=0.2)
