"""What a run leaves on disk and how it is read. No torch, no screen."""
