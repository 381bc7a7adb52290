"""Jobs: long work that is queued, leased, watched, cancelled and resumed; and what triggers it."""
