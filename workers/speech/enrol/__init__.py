"""Enrolment of a voice: any recording in, the best of its speech and an honest report out. Speech worker."""
