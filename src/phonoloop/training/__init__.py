"""Small shared pieces of any training: loop, checkpoint, schedule, seeds, metric sink."""
