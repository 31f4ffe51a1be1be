"""The steps from one revision of the database to the next, one file each, numbered from 0001.

Rules:

- **A migration only adds**, and processes of the version before go on writing while and after it
  runs: a new column is nullable or has a `server_default`, a new table is one that they do not
  know, and nothing that they read or write is renamed, narrowed or dropped. What is no longer used
  is dropped a version later.
- All steps run in one transaction. On PostgreSQL it holds its locks until the commit, so a step
  does not rewrite or scan a large table.
- A migration names the types of SQLAlchemy and imports nothing of ours: it says what was true on
  its day. It has no way back; a backup has.
- A migration that was released is never changed.

`python -m rooms.migrations "add a language to cases"` writes the next one from `rooms/tables.py`.
"""
