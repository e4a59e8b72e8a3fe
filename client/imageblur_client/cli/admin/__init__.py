"""`imageblur admin …`: the operator's commands."""

import typer

from imageblur_client.cli.admin.failures import dismiss, failures, retry
from imageblur_client.cli.admin.keys import audit, create_key, keys, restrict_key, revoke_key, rotate_key, whoami
from imageblur_client.cli.admin.mailings import (
    cancel_mailing,
    check_mail,
    mailings,
    pause_mailing,
    preview_mailing,
    resume_mailing,
    run_mailing,
    send_test_mailing,
)
from imageblur_client.cli.admin.order_actions import (
    cancel_orders,
    delete_orders,
    extend_orders,
    revise_orders,
    send_orders,
)
from imageblur_client.cli.admin.orders import order_images, orders, stats, trace
from imageblur_client.cli.admin.personal_data import erase, export, lift_suppression
from imageblur_client.cli.admin.queues import pause, purge, queues, resume, workers
from imageblur_client.cli.admin.subscribers import bounce, export_subscribers, import_subscribers, subscribers, suppress
from imageblur_client.cli.admin.texts import preview_email, reset_text, set_text, text, texts
from imageblur_client.cli.admin.webhooks import resend_webhooks, webhooks

app = typer.Typer(
    help="For operators: queues, orders, failures, webhooks, mailings, personal data, API keys, audit log.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

for command in (
    *(queues, pause, resume, purge, workers),
    *(orders, order_images, trace, stats),
    *(cancel_orders, delete_orders, send_orders, revise_orders, extend_orders),
    *(failures, retry, dismiss),
    *(webhooks, resend_webhooks),
    *(mailings, run_mailing, pause_mailing, resume_mailing, cancel_mailing),
    *(preview_mailing, send_test_mailing, check_mail),
    *(texts, text, set_text, reset_text, preview_email),
    *(subscribers, import_subscribers, export_subscribers, suppress, lift_suppression, bounce),
    *(export, erase),
    *(keys, create_key, restrict_key, rotate_key, revoke_key, whoami, audit),
):
    app.command()(command)

__all__ = ["app"]
