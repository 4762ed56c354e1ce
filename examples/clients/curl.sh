#!/usr/bin/env bash
# An embedding with curl. It needs what `npm run -s env` prints in the environment.
set -euo pipefail

# The key comes from a file that is no file, because arguments are readable to other users of the machine.
# 429 and 503 are tried again, after as long as the answer's Retry-After says. To see an error's text, take
# --fail-with-body in place of --fail and leave --retry out: with both, the texts of all tries are printed.
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
