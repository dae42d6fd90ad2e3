"""Draft worker: a talking portrait rendered on the CPU."""
