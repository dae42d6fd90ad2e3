"""Lets the real upstream Wan2GP run in a worker without a GPU and without weights: drawing itself is replaced.

Everything else stays upstream's own: initialisation, checking of settings, windows, sound, events, files, cancel. The
product does not know of it: the worker is started with `--handler tests.support.wan2gp_cpu.handler`.
"""
