"""qwen3-tune: measures which of SGLang's arguments are fast on this instance's hardware, with real requests.

Starts the worker's engine anew for each candidate, on one GPU, and sends it what clients send:

  bulk    two clients, each 128 texts of 512 tokens in a request
  mixed   the same with lengths from 16 to 2,048 tokens, as documents have them
  short   eight clients, each 128 texts of 32 tokens in a request
  single  one client, one text of 32 tokens in a request

On a CPU a request has 8 texts instead of 128.

The engine's present arguments are measured first and last, and the spread of their rounds is the noise: a candidate is
faster where its worst round is better than their best. Prints a table, and what to keep. SGLang's output is in ~/tune,
a file for each candidate.
"""
