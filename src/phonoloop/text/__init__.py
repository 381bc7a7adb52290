"""Normalisation, tokens and error rates."""
