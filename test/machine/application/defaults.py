"""defaults.py NAME: one call of a client with its defaults, with only the base URL and the key."""

import os
import sys

CONNECTION = {"base_url": os.environ["EMBEDDING_API_BASE"], "api_key": os.environ["EMBEDDING_API_KEY"]}
MODEL = os.environ["EMBEDDING_MODEL"]
TEXTS = [f"line {i}\nanother" for i in range(11)]


def openai() -> None:
    from openai import OpenAI

    OpenAI(**CONNECTION).embeddings.create(model=MODEL, input=TEXTS)


def openai_unknown_field() -> None:
    from openai import OpenAI

    OpenAI(**CONNECTION).embeddings.create(model=MODEL, input=TEXTS, instruction="Find it")


def openai_key_function() -> None:
    from openai import AuthenticationError, OpenAI

    keys = iter(["rotated away", CONNECTION["api_key"]])
    client = OpenAI(base_url=CONNECTION["base_url"], api_key=lambda: next(keys))
    try:
        client.embeddings.create(model=MODEL, input=TEXTS)
    except AuthenticationError:
        client.embeddings.create(model=MODEL, input=TEXTS)


def langchain() -> None:
    from langchain_openai import OpenAIEmbeddings

    OpenAIEmbeddings(model=MODEL, **CONNECTION).embed_documents(TEXTS)


def langchain_with_texts() -> None:
    from langchain_openai import OpenAIEmbeddings

    OpenAIEmbeddings(model=MODEL, check_embedding_ctx_length=False, **CONNECTION).embed_documents(["a\nb"] * 1001)


def langchain_model_kwargs() -> None:
    from langchain_openai import OpenAIEmbeddings

    fields = {"extra_body": {"instruction": "Find it"}}
    OpenAIEmbeddings(model=MODEL, check_embedding_ctx_length=False, model_kwargs=fields, **CONNECTION).embed_query("a")


def llamaindex() -> None:
    from llama_index.embeddings.openai_like import OpenAILikeEmbedding

    model = OpenAILikeEmbedding(model_name=MODEL, api_base=CONNECTION["base_url"], api_key=CONNECTION["api_key"])
    print(model.max_retries)
    model.get_text_embedding_batch(TEXTS)
    model.get_query_embedding(TEXTS[0])


globals()[sys.argv[1]]()
