"""The assistant: what it is told, what it answers, and when it calls a person."""
