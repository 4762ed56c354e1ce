"""python -m qwen3.worker INDEX: worker INDEX, on 127.0.0.1 at the first worker's port plus INDEX."""

import sys

from ..settings import read_settings
from .server import main

# SGLang's processes import this module too.
if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit() or int(sys.argv[1]) >= 1000:
        sys.exit("usage: python -m qwen3.worker INDEX, a whole number from 0 to 999")
    main(int(sys.argv[1]), read_settings())
