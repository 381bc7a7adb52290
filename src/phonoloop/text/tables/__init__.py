"""Tables of Vietnamese that people who do not program can read and check."""
