"""Programs that measure the hub; no part of it."""
