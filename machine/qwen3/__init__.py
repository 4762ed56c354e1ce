"""What runs on the machine: the worker, the key agent, the model's fetch and the audit."""
