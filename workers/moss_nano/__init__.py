"""MOSS-TTS-Nano on onnxruntime: speech in a voice learned from a sample, on the processor. A worker process."""
