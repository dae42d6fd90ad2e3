"""Text front ends of the speech worker: from a script as written to Kokoro's phoneme symbols."""
