"""Both pages in a real browser."""
