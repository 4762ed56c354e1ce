"""The embedding worker: three routes in front of SGLang's engine, in one process tree.

server      the process: start, drain, watchdog
app         the routes, and one log line per request
exchange    one HTTP request and its response
auth        the client of a request's key
admission   how much a worker holds at a time
cost        the memory of a request
memory      returned to the system
fair_queue  the order of clients' work
threads     work outside the event loop
request     the fields of a request, checked
body        the JSON of a request
items       the JSON of many texts or token IDs
tokenizing  from texts to tokens, in parts
texts       the sizes of texts
tokens      the model's tokenizer
engine      SGLang
response    vectors as JSON
errors      errors in OpenAI's format
"""
