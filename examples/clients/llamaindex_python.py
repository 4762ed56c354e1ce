"""Embeddings with LlamaIndex. It requires `llama-index-core`, `openai`, and the variables that `npm run -s env` prints."""

import os
import ssl
from typing import Any

from llama_index.core.embeddings import BaseEmbedding
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient, AsyncOpenAI, OpenAI

INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
DIMENSIONS = 1024

authority = ssl.create_default_context(cafile=os.environ.get("EMBEDDING_CA_FILE"))
connection = {
    "base_url": os.environ["EMBEDDING_API_BASE"],
    "api_key": os.environ["EMBEDDING_API_KEY"],
    "max_retries": 5,
}
client = OpenAI(**connection, http_client=DefaultHttpxClient(verify=authority))
async_client = AsyncOpenAI(**connection, http_client=DefaultAsyncHttpxClient(verify=authority))


class Qwen3Embedding(BaseEmbedding):
    """
    Queries have the instruction, documents do not. OpenAILikeEmbedding would send both in the same way, and replace
    every line break with a space.
    """

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        answer = client.embeddings.create(**self._request(texts))
        return [item.embedding for item in answer.data]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        answer = await async_client.embeddings.create(**self._request(texts))
        return [item.embedding for item in answer.data]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        answer = client.embeddings.create(**self._request(query), extra_body={"instruction": INSTRUCTION})
        return answer.data[0].embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        answer = await async_client.embeddings.create(**self._request(query), extra_body={"instruction": INSTRUCTION})
        return answer.data[0].embedding

    def _request(self, texts: str | list[str]) -> dict[str, Any]:
        return {"model": self.model_name, "input": texts, "dimensions": DIMENSIONS}


embed_model = Qwen3Embedding(model_name=os.environ["EMBEDDING_MODEL"], embed_batch_size=256)

embed_documents = embed_model.get_text_embedding_batch
embed_query = embed_model.get_query_embedding

if __name__ == "__main__":
    from llama_index.core import Document, VectorStoreIndex

    documents = [Document(text=text) for text in ("The capital of China is Beijing.", "重力使苹果落地。")]
    index = VectorStoreIndex.from_documents(documents, embed_model=embed_model)
    for found in index.as_retriever().retrieve("What is the capital of China?"):
        print(f"{found.score:.4f}  {found.text}")
