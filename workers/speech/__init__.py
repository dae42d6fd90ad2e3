"""Speech worker: built-in text to speech."""
