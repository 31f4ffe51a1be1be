"""The composition root and the WebSocket and REST doors.

The only package that reads settings and builds the others.
"""
