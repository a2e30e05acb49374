"""The small base that every room may stand on: the user's errors and text from disk. No torch, no screen."""
