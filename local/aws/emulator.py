"""An emulator of the AWS services that this stack uses: moto behind authentication and authorisation.

The administrator may perform every action that moto has. A session of an instance profile may perform what the policies
of its role allow, by action and resource; everything else is AccessDenied. An action that moto does not have, or for
which policies cannot be evaluated, is rejected with its name. State is kept in memory and is lost when the process ends.

DIR/emulator.json       {"url", "pid"}, written once the emulator listens
DIR/credentials.token   authenticates the host's metadata service to /_local/credentials
DIR/emulator.log        one line per request: principal, operation, status; never a body
"""

from __future__ import annotations

import argparse
import datetime
import hmac
import io
import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

# Managed policies can be attached by their well-known ARNs.
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
# A certificate is issued when it is next described.
os.environ.setdefault("MOTO_ACM_VALIDATION_WAIT", "1")

import corrections
import functions
import operations
import policies
import signatures
from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend, ManagedPolicy, iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from moto.sts.models import AssumedRole, sts_backends
from instances import Instances
from operations import ACCOUNT, Operation
from run_command import SystemsManager, SystemsManagerError
from werkzeug.serving import WSGIRequestHandler, make_server

ADMINISTRATOR = ("AKIALOCALADMINISTRATOR", "local")
SESSION_SECONDS = 3600
# The SSM agent on an instance needs these to register with Systems Manager.
AGENT_ACTIONS = ("ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:OpenControlChannel")

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Refusal(Exception):
    """An error response from authentication or authorisation, before moto is called."""

    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Principal:
    arn: str
    secret_access_key: str
    token: str | None
    # None for the administrator.
    role: str | None


class Emulator:
    """The WSGI application."""

    def __init__(self, state: Path, ami: str, region: str) -> None:
        self.log = (state / "emulator.log").open("a", buffering=1)
        self.region = region
        self.url = ""
        self.host_token = secrets.token_urlsafe(32)
        write_private(state / "credentials.token", self.host_token)
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.systems_manager = SystemsManager(state, ami, self._agent_may_register)
        self.instances = Instances(state, self.systems_manager.leader)
        self.functions = functions.Functions(state, self._function_variables)
        # moto keeps its state in dictionaries without locks.
        self.one_at_a_time = threading.Lock()

    def __call__(self, environ: dict, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/_local/credentials":
            return self._hand_out_credentials(environ, start_response)
        who, what = "-", f"{environ['REQUEST_METHOD']} {environ['PATH_INFO'] if environ['PATH_INFO'] == '/' else '/…'}"
        body = read_body(environ)
        signature = signatures.parse(environ.get("HTTP_AUTHORIZATION", ""))

        def start(status: str, headers: list[tuple[str, str]], *rest: object) -> object:
            stamp = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
            self.log.write(f"{stamp} {status[:3]} {who} {what}\n")
            return start_response(status, headers, *rest)

        try:
            principal = authenticate(signature, environ, body)
            who = principal.arn
            operation = operations.identify(signature.service, signature.region, environ, body)
            what = f"{operation.action} {operation.resource or ''}".rstrip()
            check_new_policy(operation, body)
            self._authorise(principal, operation)
            return self._perform(operation, signature.region, environ, body, start)
        except NotImplementedError:
            said = f"not emulated: {operation.action}, which moto does not have"
            refusal = Refusal("501 Not Implemented", "NotImplemented", said)
        except (operations.UnknownOperation, policies.UnknownPolicyElement) as error:
            where = "local/aws/policies.py" if isinstance(error, policies.UnknownPolicyElement) else "local/aws/operations.py"
            what = str(error)
            refusal = Refusal("501 Not Implemented", "NotImplemented", f"not emulated: {error}. Add it to {where}")
        except SystemsManagerError as error:
            refusal = Refusal("400 Bad Request", error.code, str(error))
        except functions.FunctionMissing as error:
            refusal = Refusal("404 Not Found", "ResourceNotFoundException", str(error))
        except Refusal as error:
            refusal = error
        return refuse(refusal, signature and signature.service, environ, start)

    def _perform(
        self, operation: Operation, region: str, environ: dict, body: bytes, start: StartResponse
    ) -> Iterable[bytes]:
        """Raises NotImplementedError if moto does not have the operation."""
        if operation.service == "ssm" and operation.name in SystemsManager.OPERATIONS:
            answer = self.systems_manager.answer(operation.name, operation.parameters, region)
            return respond_json("200 OK", answer, start)
        if operation.name == "InvokeFunction":
            return self._invoke(operation.parameters["FunctionName"], region, body, start)
        if operation.service == "ec2" and (text := self.instances.answer(operation.name, operation.parameters)):
            start("200 OK", [("Content-Type", "text/xml")])
            return [text.encode()]
        if operation.service == "s3":
            return self.moto(environ, start)
        with self.one_at_a_time:
            response = list(self.moto(environ, start))
        if operation.service == "lambda":
            self.functions.end_deleted(region)
        return response

    def _authorise(self, principal: Principal, operation: Operation) -> None:
        """Raises Refusal unless the principal's policies grant the operation, UnknownOperation if that is not known."""
        if principal.role is None or operation.name == "GetCallerIdentity":
            return
        if operation.resource is None:
            raise operations.UnknownOperation(operation.action)
        if not self._allowed(principal.role, operation):
            raise access_denied(principal, operation)
        if operation.action == "s3:GetObject" and not object_exists(operation):
            # Without s3:ListBucket, S3 returns AccessDenied for a missing object instead of NoSuchKey.
            listing = Operation("s3", "ListBucket", f"arn:aws:s3:::{operation.parameters['Bucket']}")
            if not self._allowed(principal.role, listing):
                raise access_denied(principal, listing)

    def _allowed(self, role: str, operation: Operation) -> bool:
        context = {
            # The emulator serves plain HTTP in place of AWS's TLS endpoints.
            "aws:securetransport": "true",
            "aws:requestedregion": self.region,
            **operation.context,
        }
        granted = role_policies(role)
        bucket_policy = policy_of_bucket(operation)
        documents = [*granted, *([bucket_policy] if bucket_policy else [])]
        boundary = permissions_boundary(role)
        return policies.is_allowed(documents, operation.action, operation.resource, context) and (
            boundary is None or policies.is_allowed([boundary], operation.action, operation.resource, context)
        )

    def _agent_may_register(self, profile: str) -> bool:
        role = role_of_profile(profile)
        return role is not None and all(
            self._allowed(role, Operation(*action.split(":"), resource="*")) for action in AGENT_ACTIONS
        )

    def _hand_out_credentials(self, environ: dict, start_response: StartResponse) -> Iterable[bytes]:
        """A session for the role of an instance profile, as EC2 provides it to the metadata service."""
        body = read_body(environ)
        if not hmac.compare_digest(environ.get("HTTP_X_LOCAL_TOKEN", ""), self.host_token):
            return respond_json("403 Forbidden", {"message": "X-Local-Token is not the host's"}, start_response)
        asked = json.loads(body)
        role = role_of_profile(asked["instanceProfile"])
        if role is None:
            return respond_json("404 Not Found", {"message": f"no role in {asked['instanceProfile']}"}, start_response)
        session = self._session(role, asked.get("instanceId", "local"))
        answer = {
            "RoleName": role,
            "InstanceProfileArn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{asked['instanceProfile']}",
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "Token": session.session_token,
            "LastUpdated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + SESSION_SECONDS)),
        }
        return respond_json("200 OK", answer, start_response)

    def _session(self, role: str, name: str) -> AssumedRole:
        return sts_backends[ACCOUNT]["aws"].assume_role(
            region_name=self.region,
            role_session_name=name,
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/{role}",
            policy="",
            duration=SESSION_SECONDS,
            external_id="",
        )

    def _function_variables(self, role: str) -> dict[str, str]:
        """The variables that Lambda sets for a function, and the emulator's URL in place of AWS's."""
        session = self._session(role, "function")
        return {
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.url,
        }

    def _invoke(self, name: str, region: str, event: bytes, start_response: StartResponse) -> Iterable[bytes]:
        answer = self.functions.invoke(name, region, event)
        failed = [("X-Amz-Function-Error", "Unhandled")] if "error" in answer else []
        start_response("200 OK", [("Content-Type", "application/json"), *failed])
        return [json.dumps(answer.get("error", answer.get("result"))).encode()]


def check_new_policy(operation: Operation, body: bytes) -> None:
    """Rejects a policy that cannot be evaluated when it is put, not only when it is first evaluated."""
    if operation.name in ("PutRolePolicy", "CreatePolicy"):
        policies.check(operation.parameters["PolicyDocument"])
    elif operation.name == "PutBucketPolicy":
        policies.check(body.decode())


def authenticate(signature: signatures.Signature | None, environ: dict, body: bytes) -> Principal:
    """The principal that signed the request. Raises Refusal if there is none."""
    if signature is None:
        raise Refusal("403 Forbidden", "MissingAuthenticationToken", "Request is missing Authentication Token")
    principal = find_principal(signature.access_key_id)
    if principal is None:
        code = "InvalidAccessKeyId" if signature.service == "s3" else "UnrecognizedClientException"
        raise Refusal("403 Forbidden", code, "The security token included in the request is invalid.")
    if not signatures.fits(signature, principal.secret_access_key, environ, body):
        raise Refusal("403 Forbidden", "SignatureDoesNotMatch", "The request signature does not match.")
    if principal.token is not None and environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "") != principal.token:
        raise Refusal("403 Forbidden", "InvalidClientTokenId", "The security token included in the request is invalid.")
    return principal


def find_principal(access_key_id: str) -> Principal | None:
    if access_key_id == ADMINISTRATOR[0]:
        return Principal(f"arn:aws:iam::{ACCOUNT}:user/administrator", ADMINISTRATOR[1], None, None)
    for session in sts_backends[ACCOUNT]["aws"].assumed_roles:
        if session.access_key_id == access_key_id:
            if session.expiration < datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None):
                raise Refusal("403 Forbidden", "ExpiredToken", "The security token included in the request is expired")
            return Principal(session.arn, session.secret_access_key, session.session_token, role_name(session.role_arn))
    return None


def role_name(arn: str) -> str:
    return arn.split("/")[-1]


def iam() -> IAMBackend:
    return iam_backends[ACCOUNT]["aws"]


def role_of_profile(profile: str) -> str | None:
    try:
        roles = iam().get_instance_profile(profile).roles
    except NotFoundException:
        return None
    return roles[0].name if roles else None


def role_policies(role: str) -> list[str]:
    """The documents of the role's inline and attached policies; an empty list if the role does not exist."""
    try:
        found = iam().get_role(role)
    except NotFoundException:
        return []
    return [*found.policies.values(), *map(default_document, found.managed_policies.values())]


def permissions_boundary(role: str) -> str | None:
    """The document of the role's permissions boundary, None without one. A boundary that does not exist allows nothing."""
    try:
        arn = iam().get_role(role).permissions_boundary_arn
    except NotFoundException:
        return None
    if not arn:
        return None
    policy = iam().managed_policies.get(arn)
    return default_document(policy) if policy else json.dumps({"Statement": []})


def default_document(policy: ManagedPolicy) -> str:
    return next(version.document for version in policy.versions if version.is_default)


def policy_of_bucket(operation: Operation) -> str | None:
    bucket = s3_backends[ACCOUNT]["aws"].buckets.get(operation.parameters.get("Bucket"))
    return bucket.policy.decode() if bucket is not None and bucket.policy else None


def object_exists(operation: Operation) -> bool:
    bucket = s3_backends[ACCOUNT]["aws"].buckets.get(operation.parameters["Bucket"])
    return bucket is not None and operation.parameters["Key"] in bucket.keys


def access_denied(principal: Principal, operation: Operation) -> Refusal:
    json_service = operation.service in ("secretsmanager", "ssm")
    return Refusal(
        "400 Bad Request" if json_service else "403 Forbidden",
        "AccessDeniedException" if json_service else "AccessDenied",
        f"User: {principal.arn} is not authorized to perform: {operation.action} on resource: {operation.resource} "
        f"because no identity-based policy allows the {operation.action} action",
    )


def read_body(environ: dict) -> bytes:
    """Reads the request's body and leaves it in place for moto to read again."""
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    chunked = environ.get("wsgi.input_terminated", False)
    body = stream.read() if chunked else stream.read(int(length)) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return body


def respond_json(status: str, answer: dict, start_response: StartResponse) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/x-amz-json-1.1")])
    return [json.dumps(answer).encode()]


def refuse(refusal: Refusal, service: str | None, environ: dict, start_response: StartResponse) -> Iterable[bytes]:
    """The error in the format of the requested service."""
    if service == "lambda":
        headers = [("Content-Type", "application/json"), ("X-Amzn-ErrorType", refusal.code)]
        start_response(refusal.status, headers)
        return [json.dumps({"Message": str(refusal)}).encode()]
    if "HTTP_X_AMZ_TARGET" in environ:
        return respond_json(refusal.status, {"__type": refusal.code, "message": str(refusal)}, start_response)
    error = f"<Code>{refusal.code}</Code><Message>{escape(str(refusal))}</Message>"
    document = {
        "s3": f"<Error>{error}</Error>",
        "ec2": f"<Response><Errors><Error>{error}</Error></Errors></Response>",
    }.get(service or "", f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>")
    start_response(refusal.status, [("Content-Type", "application/xml")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [document.encode()]


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, atomically."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.rename(path)


class Handler(WSGIRequestHandler):
    """Keeps connections open and logs nothing: the emulator's own log has more detail and no bodies."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        pass


def publish_the_image(file: Path, ami: str) -> None:
    """Makes the image of the public parameters the one that EC2 describes. moto reads it when EC2 is first called."""
    image = {
        "ami_id": ami,
        "name": "Local GPU image (Ubuntu 24.04)",
        "description": "The image of the local environment",
        "state": "available",
        "public": True,
        "owner_id": "amazon",
        "architecture": "x86_64",
        "image_type": "machine",
        "image_location": f"amazon/{ami}",
        "platform": None,
        "virtualization_type": "hvm",
        "hypervisor": "xen",
        "root_device_type": "ebs",
        "root_device_name": "/dev/sda1",
    }
    file.write_text(json.dumps([image]))
    os.environ["MOTO_AMIS_PATH"] = str(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True, help="folder DIR")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ami", required=True, help="image ID that the public AMI parameters return")
    parser.add_argument("--region", default="us-east-1")
    arguments = parser.parse_args()
    publish_the_image(arguments.state / "images.json", arguments.ami)
    corrections.apply()
    # moto reads the images when its EC2 is imported.
    import additions

    additions.apply()
    emulator = Emulator(arguments.state, arguments.ami, arguments.region)
    server = make_server(arguments.host, arguments.port, emulator, threaded=True, request_handler=Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = emulator.url = f"http://{arguments.host}:{server.port}"
    write_private(arguments.state / "emulator.json", json.dumps({"url": url, "pid": os.getpid()}))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


if __name__ == "__main__":
    main()
