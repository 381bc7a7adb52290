"""The demonstration: the whole loop on synthesised Vietnamese."""
