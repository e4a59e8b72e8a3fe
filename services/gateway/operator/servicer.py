"""OperatorService, composed of its parts. Access control has checked the caller's role before a method is called."""

from imageblur.v1.operator_service_pb2_grpc import OperatorServiceServicer

from services.gateway.operator.access.audit_servicer import AuditServicer
from services.gateway.operator.access.key_servicer import KeyServicer
from services.gateway.operator.access.personal_data_servicer import PersonalDataServicer
from services.gateway.operator.mail.mailing_servicer import MailingServicer
from services.gateway.operator.mail.subscriber_servicer import SubscriberServicer
from services.gateway.operator.mail.text_servicer import TextServicer
from services.gateway.operator.orders.order_action_servicer import OrderActionServicer
from services.gateway.operator.orders.order_servicer import OrderServicer
from services.gateway.operator.queues.failure_servicer import FailureServicer
from services.gateway.operator.queues.queue_servicer import QueueServicer
from services.gateway.operator.queues.webhook_servicer import WebhookServicer


class OperatorServicer(
    QueueServicer,
    OrderServicer,
    OrderActionServicer,
    FailureServicer,
    MailingServicer,
    SubscriberServicer,
    TextServicer,
    PersonalDataServicer,
    KeyServicer,
    WebhookServicer,
    AuditServicer,
    OperatorServiceServicer,
):
    """The operators' service."""
