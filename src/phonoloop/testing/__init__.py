"""Shipped helpers for tests: fakes, synthetic audio, toy models, the contract suites."""
