#!/usr/bin/env bash
# An embedding with curl. It requires the variables that `npm run -s env` prints.
set -euo pipefail

# curl reads the key from a process substitution, because other users of the computer can read arguments.
# 429 and 503 are retried after the time in the response's Retry-After. To see an error's text, use --fail-with-body
# instead of --fail, without --retry: with both, the texts of all attempts are printed.
curl --silent --show-error --fail --retry 5 --max-time 300 \
  ${EMBEDDING_CA_FILE:+--cacert "$EMBEDDING_CA_FILE"} \
  --header @<(printf 'Authorization: Bearer %s' "$EMBEDDING_API_KEY") \
  --header 'Content-Type: application/json' \
  --data @- "$EMBEDDING_API_BASE/embeddings" <<EOF
{
  "model": "$EMBEDDING_MODEL",
  "input": ["What is the capital of China?", "Explain gravity"],
  "instruction": "Given a web search query, retrieve relevant passages that answer the query",
  "dimensions": 1024
}
EOF
