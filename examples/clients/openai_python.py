"""Embeddings with OpenAI's Python client. It requires `openai`, and the variables that `npm run -s env` prints."""

import os
import ssl

from openai import DefaultHttpxClient, OpenAI

MODEL = os.environ["EMBEDDING_MODEL"]
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
DIMENSIONS = 1024
BATCH = 256

client = OpenAI(
    base_url=os.environ["EMBEDDING_API_BASE"],
    api_key=os.environ["EMBEDDING_API_KEY"],
    # The stack's own certificate authority, only for this client. With a domain, the variable is not set, and None
    # selects the public authorities.
    http_client=DefaultHttpxClient(verify=ssl.create_default_context(cafile=os.environ.get("EMBEDDING_CA_FILE"))),
    max_retries=5,
)


def embed_documents(texts: list[str]) -> list[list[float]]:
    """Returns one vector per text, in order."""
    vectors = []
    for begin in range(0, len(texts), BATCH):
        batch = texts[begin : begin + BATCH]
        answer = client.embeddings.create(model=MODEL, input=batch, dimensions=DIMENSIONS)
        vectors += [item.embedding for item in answer.data]
    return vectors


def embed_query(text: str) -> list[float]:
    """Returns the vector to compare with those of documents."""
    answer = client.embeddings.create(
        model=MODEL, input=text, dimensions=DIMENSIONS, extra_body={"instruction": INSTRUCTION}
    )
    return answer.data[0].embedding


if __name__ == "__main__":
    documents = ["The capital of China is Beijing.", "重力使苹果落地。"]
    query = embed_query("What is the capital of China?")
    for text, vector in zip(documents, embed_documents(documents)):
        # Vectors have length 1: the dot product is the cosine.
        print(f"{sum(a * b for a, b in zip(query, vector)):.4f}  {text}")
