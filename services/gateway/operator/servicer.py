"""OperatorService, composed of its parts. Access control has checked the caller's role before a method is called."""

from imageblur.v1.operator_service_pb2_grpc import OperatorServiceServicer

from services.gateway.operator.audit_servicer import AuditServicer
from services.gateway.operator.failure_servicer import FailureServicer
from services.gateway.operator.key_servicer import KeyServicer
from services.gateway.operator.mailing_servicer import MailingServicer
from services.gateway.operator.order_action_servicer import OrderActionServicer
from services.gateway.operator.order_servicer import OrderServicer
from services.gateway.operator.personal_data_servicer import PersonalDataServicer
from services.gateway.operator.queue_servicer import QueueServicer
from services.gateway.operator.subscriber_servicer import SubscriberServicer
from services.gateway.operator.text_servicer import TextServicer
from services.gateway.operator.webhook_servicer import WebhookServicer


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
