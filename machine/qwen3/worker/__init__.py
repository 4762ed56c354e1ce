"""The embedding worker: a door with three routes in front of SGLang's engine, in one process tree.

server      the process: start, drain, watchdog
app         the routes, and one line of log a request
door        who is asking
admission   how much is held at a time, and whose turn it is
request     what is asked, checked
tokens      texts and token IDs to what the model reads
engine      SGLang
answer      vectors to a response
"""
