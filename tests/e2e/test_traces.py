"""What was done for an order is one trace, over all services."""

from imageblur_client import Client

from tests.e2e.conftest import PHOTOGRAPHS
from tests.support.otlp import TraceReceiver
from tests.support.waiting import eventually


def test_an_order_is_one_trace(client: Client, traces: TraceReceiver) -> None:
    before = {span.trace_id for _, span in traces.spans()}
    order = client.order("traced@example.org", [PHOTOGRAPHS / "rocket.jpg"] * 2, notify=True)
    for _ in client.watch(order.order_id):
        pass

    def whole() -> bool:
        new = [(service, span) for service, span in traces.spans() if span.trace_id not in before]
        done = sorted((service, span.name) for service, span in new)
        assert done == [
            ("imageblur-blur_worker", "blur_image"),
            ("imageblur-blur_worker", "blur_image"),
            ("imageblur-gateway", "StreamBlurOrder"),
            ("imageblur-mailer", "send_email"),
        ]
        assert len({span.trace_id for _, span in new}) == 1
        upload, *rest = sorted((span for _, span in new), key=lambda span: span.start_time_unix_nano)
        assert upload.name == "StreamBlurOrder"
        assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in rest)
        said = str([span for _, span in new])
        assert not [secret for secret in ("traced@", "rocket", order.order_id) if secret in said]
        return True

    eventually(whole, every=0.2)
