"""What everything stands on: units, ids, errors, events, ports. Standard library and numpy only."""
