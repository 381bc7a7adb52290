"""The fixtures of the end-to-end tests; what they are made of is in end_to_end.py."""

from end_to_end import own_world, recordings, up, world

__all__ = ["own_world", "recordings", "up", "world"]
