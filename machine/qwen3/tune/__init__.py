"""qwen3-tune: measures which of SGLang's arguments are fast on this instance's hardware, with real requests.

Starts the worker's engine for each candidate, on one GPU, and sends it requests like those of clients:

  bulk    two clients, each 128 texts of 512 tokens in a request
  mixed   the same with lengths from 16 to 2,048 tokens, as in documents
  short   eight clients, each 128 texts of 32 tokens in a request
  single  one client, one text of 32 tokens in a request

On a CPU a request has 8 texts instead of 128.

The current arguments of the engine are measured first and last, and the spread of their rounds is the noise: a
candidate is faster if its worst round is better than their best. Prints a table, and which arguments to use. SGLang's
output is in ~/tune, one file per candidate.
"""
