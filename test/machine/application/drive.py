"""drive.py MODULE: what a module of examples/clients makes of the documents and the query on standard input."""

import importlib
import json
import sys

module = importlib.import_module(sys.argv[1])
asked = json.load(sys.stdin)
answer = {"documents": module.embed_documents(asked["documents"]), "query": module.embed_query(asked["query"])}
json.dump(answer, sys.stdout)
