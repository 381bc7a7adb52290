"""Decoding, measuring, cutting, features and augmentation of audio."""
