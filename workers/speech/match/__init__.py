"""Voice match (approximate): the built-in model made to sound like a recorded voice. Runs in the speech worker.

Flow of a match: recording -> speaker vector, pitch, spectrum -> a mix of the built-in timbres (`blend`), brought
to the recording's pitch, formants and spectrum (`calibrate`) -> `Profile`; a search with the synthesiser in the
loop (`refine`) improves it. It is a likeness of type, pitch and brightness, not a copy of a person.
"""
