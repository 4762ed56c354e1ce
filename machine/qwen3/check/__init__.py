"""qwen3-check: what only the instance itself can see."""
