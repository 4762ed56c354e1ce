"""Embeddings with LangChain. It requires `langchain-openai`, and the variables that `npm run -s env` prints."""

import os
import ssl
from typing import Any

from langchain_openai import OpenAIEmbeddings
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"


class Qwen3Embeddings(OpenAIEmbeddings):
    """Queries have the instruction, documents do not: LangChain has separate methods for them."""

    def embed_query(self, text: str, **kwargs: Any) -> list[float]:
        return super().embed_query(text, extra_body={"instruction": INSTRUCTION}, **kwargs)

    async def aembed_query(self, text: str, **kwargs: Any) -> list[float]:
        return await super().aembed_query(text, extra_body={"instruction": INSTRUCTION}, **kwargs)


authority = ssl.create_default_context(cafile=os.environ.get("EMBEDDING_CA_FILE"))
embeddings = Qwen3Embeddings(
    model=os.environ["EMBEDDING_MODEL"],
    base_url=os.environ["EMBEDDING_API_BASE"],
    api_key=os.environ["EMBEDDING_API_KEY"],
    http_client=DefaultHttpxClient(verify=authority),
    http_async_client=DefaultAsyncHttpxClient(verify=authority),
    dimensions=1024,
    # Otherwise LangChain sends the token IDs of another model's tokenizer, which the server rejects.
    check_embedding_ctx_length=False,
    chunk_size=256,
    max_retries=5,
)

embed_documents = embeddings.embed_documents
embed_query = embeddings.embed_query

if __name__ == "__main__":
    from langchain_core.vectorstores import InMemoryVectorStore

    documents = ["The capital of China is Beijing.", "重力使苹果落地。"]
    store = InMemoryVectorStore.from_texts(documents, embeddings)
    for document, score in store.similarity_search_with_score("What is the capital of China?"):
        print(f"{score:.4f}  {document.page_content}")
