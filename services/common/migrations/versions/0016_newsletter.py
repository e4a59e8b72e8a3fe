"""Where subscribers come from, what comes back from them, mailings that are scheduled, and own texts of e-mails.

Only additions. Mailers of the version before send no mailing that is scheduled or paused: its state is unknown to them.

Revision: 0016. Revises: 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_CONFIRMED = sa.text("state = 'CONFIRMED'")
_REPORTED = sa.text("report IS NOT NULL")
_COLUMNS: dict[str, dict[str, type[sa.String | sa.BigInteger]]] = {
    "subscribers": {
        "time_zone": sa.String,
        "source": sa.String,
        "consent_at": sa.BigInteger,
        "created_at": sa.BigInteger,
        "suppression": sa.String,
        "suppressed_at": sa.BigInteger,
        "state_before": sa.String,
        "soft_bounced_at": sa.BigInteger,
    },
    "mailings": {
        "started_at": sa.BigInteger,
        "paused_at": sa.BigInteger,
        "local_time": sa.String,
        "time_zone": sa.String,
        "window_begin": sa.BigInteger,
        "window_end": sa.BigInteger,
        "per_hour": sa.BigInteger,
    },
    "emails": {"report": sa.String, "reported_at": sa.BigInteger},
    "workers": {"warnings": sa.String},
}


def upgrade() -> None:
    """Go to this revision."""
    for table, columns in _COLUMNS.items():
        for name, type_ in columns.items():
            op.add_column(table, sa.Column(name, type_(), nullable=True))
    op.add_column("subscribers", sa.Column("soft_bounces", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index(
        "subscribers_zones", "subscribers", ["time_zone", "id"], sqlite_where=_CONFIRMED, postgresql_where=_CONFIRMED
    )
    op.create_index(
        "emails_reports", "emails", ["mailing_id", "report"], sqlite_where=_REPORTED, postgresql_where=_REPORTED
    )
    op.create_table(
        "suppressed_addresses",
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("suppression", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("suppressed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("suppressed_addresses_pkey")),
    )
    op.create_table(
        "custom_texts",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("custom_texts_pkey")),
    )
    op.create_table(
        "mailing_parts",
        sa.Column("mailing_id", sa.Uuid(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("cursor_id", sa.Uuid(), nullable=True),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailing_id"], ["mailings.id"], name=op.f("mailing_parts_mailing_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mailing_id", "time_zone", name=op.f("mailing_parts_pkey")),
    )
