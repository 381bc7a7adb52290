"""Search: texts as vectors and as words, and both together."""
