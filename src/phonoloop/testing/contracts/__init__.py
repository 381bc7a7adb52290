"""One contract suite for each port; every adapter passes it against the real thing."""
