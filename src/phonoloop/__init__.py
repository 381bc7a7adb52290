"""Phonoloop: drop audio in, get better speech models out."""

__version__ = "0.1.0"
