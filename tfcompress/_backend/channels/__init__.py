"""Which axes of a model lose the same channels, and the narrowed model."""
