"""Migrations of the database: how alembic runs them (`env.py`), and the steps (`versions`)."""
