"""Wake words: from a phrase to a detector, with figures that can be believed."""
