"""The queue in its own order, and the times that jobs wait for, so that ten thousand jobs are not sorted at every round."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.drop_index("ix_jobs_status", "jobs")
    op.create_index("ix_jobs_turn", "jobs", ["status", sa.text("priority DESC"), "id"])
    op.create_index(
        "ix_jobs_not_before", "jobs", ["not_before"], sqlite_where=sa.text("not_before IS NOT NULL")
    )
