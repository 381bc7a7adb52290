"""The composition root and everything a person or another program talks to."""
