"""Who is calling: verified tokens become principals.

Knows nothing of rooms, sockets or HTTP servers; must never import them.
"""
