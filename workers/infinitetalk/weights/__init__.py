"""Weight files of InfiniteTalk: which formats exist, how their names map, how they are streamed into
the model, quantised, and changed by LoRAs. Runs in the InfiniteTalk worker."""
