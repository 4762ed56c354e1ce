"""steady.py: calls with OpenAI's client and its defaults until standard input ends; prints what became of them.

Prints {"calls": N, "failed": [message, ...], "slowest": S}: retries are the client's own, S is in seconds.
"""

import json
import os
import sys
import threading
import time

from openai import OpenAI

THREADS = 3
PAUSE_SECONDS = 0.3

client = OpenAI(base_url=os.environ["EMBEDDING_API_BASE"], api_key=os.environ["EMBEDDING_API_KEY"])
ended = threading.Event()
times: list[float] = []
failed: list[str] = []


def call(thread: int) -> None:
    count = 0
    while not ended.is_set():
        begin = time.monotonic()
        count += 1
        try:
            client.embeddings.create(model=os.environ["EMBEDDING_MODEL"], input=f"python {thread}, text {count}")
        except Exception as error:
            failed.append(f"{type(error).__name__}: {error}")
        times.append(time.monotonic() - begin)
        ended.wait(PAUSE_SECONDS)


threads = [threading.Thread(target=call, args=(number,)) for number in range(THREADS)]
for each in threads:
    each.start()
sys.stdin.read()
ended.set()
for each in threads:
    each.join()
json.dump({"calls": len(times), "failed": failed, "slowest": round(max(times), 2)}, sys.stdout)
