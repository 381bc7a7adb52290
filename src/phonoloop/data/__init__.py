"""Recordings, clips, transcripts, speakers, snapshots; the stages from a file to a frozen dataset."""
