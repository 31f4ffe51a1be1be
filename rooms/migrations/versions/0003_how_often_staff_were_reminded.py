"""How often staff were reminded of a case that waits."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Processes of the version before know nothing of it, and write rows without it.
    op.add_column(
        "case_state",
        sa.Column("reminders", sa.Integer(), nullable=False, server_default="0"),
    )
