"""VoxCPM2 in its own environment: speech in a voice learned from a sample, on an NVIDIA GPU. A worker process."""
