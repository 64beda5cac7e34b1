"""Scorers: how right an answer is, 0 to 1. One factory in each file, found by name (`registry`)."""
