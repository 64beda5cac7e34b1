"""Published tables as data, and rules that recompute what they derive."""
