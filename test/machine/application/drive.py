"""drive.py MODULE: prints the vectors of a module of examples/clients for documents and a query on standard input."""

import importlib
import json
import sys

module = importlib.import_module(sys.argv[1])
asked = json.load(sys.stdin)
answer = {"documents": module.embed_documents(asked["documents"]), "query": module.embed_query(asked["query"])}
json.dump(answer, sys.stdout)
