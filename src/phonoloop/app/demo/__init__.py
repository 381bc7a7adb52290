"""The demo: the whole loop on synthesised Vietnamese, or on somebody's recordings."""
