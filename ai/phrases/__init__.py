"""What patients write when they want a person or are in danger: a module per language."""
