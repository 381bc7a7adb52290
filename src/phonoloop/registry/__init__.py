"""Model versions, their lineage and cards; judging, promoting, rolling back."""
