"""People can ask the daemon to stop."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("daemon", sa.Column("wish", sa.Text(), nullable=True))
