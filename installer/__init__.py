"""Installs engines that need an environment of their own. Standard library only; runs in the start script's Python.

`python -m launcher install ENGINE` makes a plan for this machine and carries it out: an own Python, PyTorch for its
graphics card, the packages of a lock, a self-test. Everything of an engine lies in its own folder. A step that is
done is never repeated, one that was cut short is: a second run goes on where the first one stopped.
"""
