"""The embedding worker: three routes in front of SGLang's engine, in one process tree.

server      the process: start, drain, watchdog
app         the routes, and one log line per request
exchange    one HTTP request and its response
auth        the client of a request's key
admission   how much a worker holds at a time
fair_queue  the order in which clients' work enters the engine
request     the JSON of a request, checked
tokens      texts and token IDs as the model reads them
engine      SGLang
response    vectors as JSON
errors      errors in OpenAI's format
"""
