"""The worker: SGLang behind its door."""
