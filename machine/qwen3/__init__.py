"""The programs of an instance: the worker, the key agent, the model's download and the audit."""
