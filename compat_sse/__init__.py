"""The room feed as Server-Sent Events, for Phase 1 clients.

An edge like any other: it subscribes to a room and brings its own codec; it must never import hub.
"""
