"""execute_notebook.py FILE: runs a notebook in its own folder and prints it with its outputs."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

path = Path(sys.argv[1])
notebook = nbformat.read(path, as_version=4)
NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
print(nbformat.writes(notebook))
