"""The live side of a case: its durable log, its state, its readers.

Must never import a web framework, settings or the edges that use it.
"""
