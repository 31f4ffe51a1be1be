"""The pages: the patient's, the desk, and what they are made of, served as files without a build.

Knows HTTP and who a development identity is; must never import the hub or another edge.
"""
