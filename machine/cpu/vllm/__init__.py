"""Replaces vLLM where SGLang runs on a CPU; see _custom_ops."""
