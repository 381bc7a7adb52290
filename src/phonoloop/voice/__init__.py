"""Voices: from hours of talk to clean clips with transcripts, and from those to a voice that speaks."""
