"""Valid and invalid requests by schemathesis from docs/reference/openapi.yaml; each response is checked against it.

    python schema.py openapi.yaml EXAMPLES SEED < target.json

Prints one JSON document, as grammar.py does.
"""

import collections
import json
import os
import sys
import tempfile
import time
import warnings
from typing import Any

import hypothesis
import hypothesis.configuration
import requests
import schemathesis
from client import Target, fault
import schemathesis.core.failures
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks

load_all_checks()
CHECKS = [
    checks.status_code_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.content_type_conformance,
]


def main() -> None:
    path, examples, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    target = Target(**json.load(sys.stdin))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        # Not in the current folder.
        hypothesis.configuration.set_hypothesis_home_dir(folder)
        ca = os.path.join(folder, "ca.pem")
        with open(ca, "w") as file:
            file.write(target.ca or "")
        print(json.dumps(run(path, examples, seed, target, ca)))


def run(path: str, examples: int, seed: int, target: Target, ca: str) -> dict[str, Any]:
    schema = schemathesis.openapi.from_path(path)
    session = requests.Session()
    # Ignores the environment's certificate authorities.
    session.trust_env = False
    session.verify = ca
    session.headers["Authorization"] = f"Bearer {target.key}"
    statuses: collections.Counter[int] = collections.Counter()
    faults: list[dict[str, Any]] = []
    begin = time.monotonic()
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:
        # Only one route has a body; the requests of the others differ little.
        share = examples if operation.method.upper() == "POST" else max(10, examples // 50)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                strategy = operation.as_strategy(generation_mode=mode)
                ask(strategy, share, seed, mode, target, session, statuses, faults)
            except hypothesis.errors.Unsatisfiable:
                continue  # nothing of a request without parameters can be broken
    return {
        "requests": sum(statuses.values()),
        "seconds": round(time.monotonic() - begin, 1),
        "statuses": dict(sorted(statuses.items())),
        "faults": faults[:20],
    }


def ask(
    strategy: Any,
    examples: int,
    seed: int,
    mode: GenerationMode,
    target: Target,
    session: requests.Session,
    statuses: collections.Counter[int],
    faults: list[dict[str, Any]],
) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=strategy)
    def each(case: Any) -> None:
        # Any generated key is replaced by the real one.
        case.headers = {k: v for k, v in (case.headers or {}).items() if k.lower() != "authorization"}
        response = case.call(base_url=f"https://{target.host}:{target.port}", session=session, verify=session.verify, timeout=120)
        headers = {name: values[0] for name, values in response.headers.items()}
        problem = fault(response.status_code, headers, response.content, True)
        if problem is None:
            problem = unlike_description(case, response)
        statuses[response.status_code] += 1
        if problem is not None:
            faults.append({"fault": problem, "status": response.status_code, "mode": str(mode), "path": case.path, "body": repr(case.body)[:400]})

    each()


def unlike_description(case: Any, response: Any) -> str | None:
    """Whether status, headers and body match the description."""
    try:
        case.validate_response(response, checks=CHECKS)
        return None
    except (schemathesis.core.failures.Failure, schemathesis.core.failures.FailureGroup) as error:
        return f"does not match the description: {str(error)[:300]}"


if __name__ == "__main__":
    main()
