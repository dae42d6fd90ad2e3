"""The worker that writes scripts with a small language model on this computer. Worker process."""
