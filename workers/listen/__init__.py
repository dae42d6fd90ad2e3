"""The listening worker: hears spoken sentences back and says what was understood. Optional (docs/speech.md)."""
