import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import * as grpc from "@grpc/grpc-js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb";
import engine from "@pulumi/pulumi/proto/engine_pb";
import plugin from "@pulumi/pulumi/proto/plugin_pb";
import service from "@pulumi/pulumi/proto/provider_grpc_pb";
import proto from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";

/**
 * Pulumi's provider protocol for the fakes. The fakes handle plain values; this file handles secrets, unknown values,
 * assets, differences and previews. A property that a fake does not declare is rejected with its name.
 */

/** A plain JavaScript value, secrets unwrapped. An asset is `{ asset: { path?, text?, uri?, hash? } }`. */
export type Value = unknown;
export type Props = Record<string, Value>;

export interface CheckContext {
  urn: string;
  /** The resource's logical name. */
  name: string;
  /** Checked inputs of the last deployment. Empty for a new resource and for a replacement. */
  olds: Props;
}

export interface OperationContext {
  urn: string;
  /** The resource's logical name. */
  name: string;
  /** Shows a line next to the resource. */
  log(line: string): void;
  /** Aborted when the engine cancels the deployment. */
  signal: AbortSignal;
}

export interface ResourceDefinition {
  /** Supported properties. Any other is rejected with its name. */
  inputs: readonly string[];
  /**
   * Inputs whose change replaces the resource. A function gets old inputs, new inputs (which may contain UNKNOWN) and
   * the old state, and returns names. A name that is not an input's is the reason for a replacement without a change.
   */
  replaceOn?: readonly string[] | ((olds: Props, news: Props, state: Props) => string[]);
  /** Outputs (and inputs) that are always secret. */
  secrets?: readonly string[];
  /**
   * Outputs that an update computes anew: unknown in its preview. All other outputs are expected to stay the same, so
   * that the preview of a change of tags does not show everything that uses an ARN as changed.
   */
  renewed?: readonly string[];
  /** Every output is secret if any input is. By default, only the output of the same name is. */
  anySecretInput?: boolean;
  /**
   * Fills in defaults and derived inputs (autonaming: see `autoname`). It also runs in previews, where inputs may be
   * UNKNOWN. Throw InputError to reject an input.
   */
  check?(inputs: Props, context: CheckContext): Props;
  /** `outputs` are merged over the inputs; those that repeat an input may be omitted. */
  create(inputs: Props, context: OperationContext): Promise<{ id: string; outputs: Props }>;
  /** Returns outputs, merged over the new inputs. `olds` is the old state. Without it, nothing changes in place. */
  update?(id: string, olds: Props, news: Props, context: OperationContext): Promise<Props>;
  delete?(id: string, olds: Props, context: OperationContext): Promise<void>;
  /**
   * For refreshes: returns undefined if the resource does not exist. Without it, the state is assumed to be current. An
   * output that repeats an input replaces that input.
   */
  read?(id: string, olds: Props): Promise<{ id: string; outputs: Props } | undefined>;
}

export interface ProviderDefinition {
  name: string;
  version: string;
  /** Supported settings of the provider. Any other is rejected with its name. */
  configInputs?: readonly string[];
  /** Gets decoded settings: also booleans, lists and objects. It also runs in previews. */
  configure?(config: Props): void | Promise<void>;
  /** By type token, such as `aws:ec2/instance:Instance`. */
  resources: Record<string, ResourceDefinition>;
  /** By token, such as `aws:ssm/getParameter:getParameter`. */
  invokes: Record<string, (args: Props) => Promise<Props>>;
}

/** An invalid input. The engine names the property and the resource. */
export class InputError extends Error {
  constructor(
    readonly property: string,
    readonly reason: string,
  ) {
    super(`${property}: ${reason}`);
    this.name = "InputError";
  }
}

/** The protocol's placeholder for a value that is not known yet in a preview. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Whether a value is unknown or contains an unknown value. */
export function hasUnknown(value: Value): boolean {
  if (Array.isArray(value)) {
    return value.some(hasUnknown);
  }
  return isObject(value) ? Object.values(value).some(hasUnknown) : value === UNKNOWN;
}

/** Pulumi's autonaming, for use in `check`: the given name, else the existing name, else a new random name. */
export function autoname(inputs: Props, property: string, context: CheckContext, separator = "-"): Props {
  if (inputs[property] !== undefined) {
    return inputs;
  }
  const old = context.olds[property];
  const prefix = `${context.name}${separator}`;
  const kept = typeof old === "string" && old.startsWith(prefix);
  return { ...inputs, [property]: kept ? old : prefix + randomBytes(4).toString("hex").slice(0, 7) };
}

/** Serves a provider to the engine until the engine ends it. */
export async function serve(definition: ProviderDefinition): Promise<void> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  const host = new Host(process.argv.slice(2).find((argument) => /^[^-].*:\d+$/.test(argument)));
  server.addService(service.ResourceProviderService, handlers(definition, host));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  // An engine that was killed cannot end its providers.
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(1), 2000).unref();
  process.stdout.write(`${port}\n`);
}

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const ASSET = "c44067f5952c0a294b673a41bacd8c17";
const ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7";
const RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e";

/** Inputs that the SDK and the engine add and that fakes do not need. */
const RESERVED = ["__defaults", "__internal"];
const RESERVED_CONFIG = [...RESERVED, "version", "pluginDownloadURL"];

/** Maximum length of an error: it is sent percent-encoded in a header. */
const MAX_ERROR = 12_000;

type Unary<Request, Response> = (request: Request) => Promise<Response>;

function handlers(definition: ProviderDefinition, host: Host): grpc.UntypedServiceImplementation {
  const { name } = definition;
  const stop = new AbortController();

  function missing(what: string): ServiceError {
    return new ServiceError(
      grpc.status.INVALID_ARGUMENT,
      `the local fake for ${name} has no ${what} (local/fakes)`,
    );
  }

  function resourceOf(urn: string): { type: string; resource: ResourceDefinition } {
    const type = typeOf(urn);
    const resource = Object.hasOwn(definition.resources, type) ? definition.resources[type] : undefined;
    if (!resource) {
      throw missing(type);
    }
    return { type, resource };
  }

  function context(urn: string): OperationContext {
    return { urn, name: nameOf(urn), log: (line) => host.log(urn, line), signal: stop.signal };
  }

  const implementation = {
    checkConfig: async (request: proto.CheckRequest) => {
      const wire = fromStruct(request.getNews());
      const response = new proto.CheckResponse();
      for (const property of Object.keys(wire)) {
        if (!RESERVED_CONFIG.includes(property) && !definition.configInputs?.includes(property)) {
          response.addFailures(failure(property, missing(`setting ${property}`).message));
        }
      }
      return response.setInputs(toStruct(wire));
    },

    diffConfig: async (request: proto.DiffRequest) => {
      const olds = unwrapAll(fromStruct(request.hasOldInputs() ? request.getOldInputs() : request.getOlds()));
      const news = unwrapAll(fromStruct(request.getNews()));
      const changed = changes(olds, news).filter((property) => !RESERVED_CONFIG.includes(property));
      const { DIFF_NONE, DIFF_SOME } = proto.DiffResponse.DiffChanges;
      return new proto.DiffResponse()
        .setChanges(changed.length > 0 ? DIFF_SOME : DIFF_NONE)
        .setDiffsList(changed);
    },

    configure: async (request: proto.ConfigureRequest) => {
      const config = unwrapAll(fromStruct(request.getArgs()));
      const decoded = Object.entries(config).map(([key, value]) => [key, decode(value)]);
      await definition.configure?.(Object.fromEntries(decoded));
      return new proto.ConfigureResponse()
        .setAcceptsecrets(true)
        .setAcceptresources(true)
        .setSupportspreview(true)
        .setAcceptoutputs(false);
    },

    getPluginInfo: async () => new plugin.PluginInfo().setVersion(definition.version),

    getSchema: async () =>
      new proto.GetSchemaResponse().setSchema(JSON.stringify({ name, version: definition.version })),

    attach: async (request: plugin.PluginAttach) => {
      host.address = request.getAddress();
      return new Empty();
    },

    cancel: async () => {
      stop.abort();
      return new Empty();
    },

    check: async (request: proto.CheckRequest) => {
      const { type, resource } = resourceOf(request.getUrn());
      const wire = withoutReserved(fromStruct(request.getNews()));
      const response = new proto.CheckResponse();
      for (const property of Object.keys(wire)) {
        if (!resource.inputs.includes(property)) {
          response.addFailures(failure(property, missing(`property ${property} of ${type}`).message));
        }
      }
      if (response.getFailuresList().length > 0) {
        return response.setInputs(toStruct(wire));
      }
      try {
        const urn = request.getUrn();
        const inputs = unwrapAll(wire);
        const olds = unwrapAll(withoutReserved(fromStruct(request.getOlds())));
        const checked = resource.check?.(inputs, { urn, name: nameOf(urn), olds }) ?? inputs;
        return response.setInputs(toStruct(wrapAll(checked, wire, { secrets: resource.secrets ?? [] })));
      } catch (error) {
        if (!(error instanceof InputError)) {
          throw error;
        }
        response.addFailures(failure(error.property, error.reason));
        return response.setInputs(toStruct(wire));
      }
    },

    diff: async (request: proto.DiffRequest) => {
      const { type, resource } = resourceOf(request.getUrn());
      const state = unwrapAll(fromStruct(request.getOlds()));
      const all = request.hasOldInputs() ? unwrapAll(fromStruct(request.getOldInputs())) : state;
      const olds = Object.fromEntries(
        resource.inputs.filter((key) => key in all).map((key) => [key, all[key]]),
      );
      const news = unwrapAll(withoutReserved(fromStruct(request.getNews())));
      const ignored = request.getIgnorechangesList();
      const changed = changes(olds, news).filter((property) => !ignored.includes(property));
      const { replaceOn = [] } = resource;
      const replaces =
        typeof replaceOn === "function"
          ? replaceOn(olds, news, state).filter((property) => !ignored.includes(property))
          : changed.filter((property) => replaceOn.includes(property));
      const fixed = changed.filter((property) => !replaces.includes(property));
      if (replaces.length === 0 && fixed.length > 0 && !resource.update) {
        throw missing(`update in place of ${type}, for ${fixed.join(", ")}`);
      }
      const diffs = [...new Set([...changed, ...replaces])];
      const { DIFF_NONE, DIFF_SOME } = proto.DiffResponse.DiffChanges;
      const response = new proto.DiffResponse()
        .setChanges(diffs.length > 0 ? DIFF_SOME : DIFF_NONE)
        .setDiffsList(diffs)
        .setReplacesList(replaces)
        .setHasdetaileddiff(true)
        .setDeletebeforereplace(false);
      for (const property of diffs) {
        const kind = kindOf(property in olds, property in news, replaces.includes(property));
        response
          .getDetaileddiffMap()
          .set(
            property,
            new proto.PropertyDiff().setKind(kind).setInputdiff(resource.inputs.includes(property)),
          );
      }
      return response;
    },

    create: async (request: proto.CreateRequest) => {
      const { resource } = resourceOf(request.getUrn());
      const wire = withoutReserved(fromStruct(request.getProperties()));
      if (request.getPreview()) {
        return new proto.CreateResponse().setProperties(toStruct(wire));
      }
      const inputs = unwrapAll(wire);
      const { id, outputs } = await resource.create(inputs, context(request.getUrn()));
      const merged = wrapAll({ ...inputs, ...outputs }, wire, outputRules(resource, inputs));
      return new proto.CreateResponse().setId(id).setProperties(toStruct(merged));
    },

    update: async (request: proto.UpdateRequest) => {
      const { type, resource } = resourceOf(request.getUrn());
      const wire = withoutReserved(fromStruct(request.getNews()));
      const old = fromStruct(request.getOlds());
      if (request.getPreview()) {
        const kept = Object.entries(old).filter(
          ([key]) => !resource.inputs.includes(key) && !resource.renewed?.includes(key),
        );
        return new proto.UpdateResponse().setProperties(toStruct({ ...Object.fromEntries(kept), ...wire }));
      }
      if (!resource.update) {
        throw missing(`update in place of ${type}`);
      }
      const news = unwrapAll(wire);
      const outputs = await resource.update(request.getId(), unwrapAll(old), news, context(request.getUrn()));
      const merged = wrapAll({ ...news, ...outputs }, wire, outputRules(resource, news));
      return new proto.UpdateResponse().setProperties(toStruct(merged));
    },

    delete: async (request: proto.DeleteRequest) => {
      const { resource } = resourceOf(request.getUrn());
      const olds = unwrapAll(fromStruct(request.getProperties()));
      await resource.delete?.(request.getId(), olds, context(request.getUrn()));
      return new Empty();
    },

    read: async (request: proto.ReadRequest) => {
      const { type, resource } = resourceOf(request.getUrn());
      const wire = fromStruct(request.getProperties());
      const inputs = fromStruct(request.getInputs());
      const response = new proto.ReadResponse().setInputs(toStruct(inputs));
      if (!resource.read) {
        if (!request.hasInputs() || Object.keys(wire).length === 0) {
          throw missing(`import of ${type}`);
        }
        return response.setId(request.getId()).setProperties(toStruct(wire));
      }
      const olds = unwrapAll(wire);
      const found = await resource.read(request.getId(), olds);
      if (!found) {
        return new proto.ReadResponse().setId("");
      }
      const merged = wrapAll({ ...olds, ...found.outputs }, wire, { secrets: resource.secrets ?? [] });
      const refreshed = Object.keys(inputs).filter((key) => Object.hasOwn(found.outputs, key));
      return response
        .setId(found.id)
        .setProperties(toStruct(merged))
        .setInputs(
          toStruct({ ...inputs, ...Object.fromEntries(refreshed.map((key) => [key, merged[key]])) }),
        );
    },

    invoke: async (request: proto.InvokeRequest) => {
      const token = request.getTok();
      const invoke = Object.hasOwn(definition.invokes, token) ? definition.invokes[token] : undefined;
      if (!invoke) {
        throw missing(token);
      }
      try {
        const answer = await invoke(unwrapAll(withoutReserved(fromStruct(request.getArgs()))));
        return new proto.InvokeResponse().setReturn(toStruct(answer));
      } catch (error) {
        if (!(error instanceof InputError)) {
          throw error;
        }
        const response = new proto.InvokeResponse();
        response.addFailures(failure(error.property, error.reason));
        return response;
      }
    },
  };
  return Object.fromEntries(
    Object.entries(implementation).map(([method, handler]) => [
      method,
      unary(handler as Unary<unknown, unknown>, host),
    ]),
  );
}

function outputRules(resource: ResourceDefinition, inputs: Props): WrapRules {
  return { secrets: resource.secrets ?? [], rest: resource.anySecretInput ? inputs : undefined };
}

/** The engine's own service, which shows lines next to a resource. */
class Host {
  address: string | undefined;
  private client: engineService.EngineClient | undefined;
  /** Settles once every line has arrived. */
  private sent: Promise<void> = Promise.resolve();

  constructor(address: string | undefined) {
    this.address = address;
  }

  log(urn: string, line: string): void {
    if (!this.address) {
      return;
    }
    this.client ??= new engineService.EngineClient(this.address, grpc.credentials.createInsecure());
    const request = new engine.LogRequest().setSeverity(engine.LogSeverity.INFO).setUrn(urn).setMessage(line);
    const { client } = this;
    // One after another, as the real providers send them: the engine shows lines in the order in which they arrive.
    this.sent = this.sent.then(() => new Promise((resolve) => client.log(request, () => resolve())));
  }

  /** Waits until every line has arrived: a line after the response to an operation may be lost. */
  flush(): Promise<void> {
    return this.sent;
  }
}

class ServiceError extends Error {
  constructor(
    readonly code: grpc.status,
    message: string,
  ) {
    super(message);
  }
}

function unary<Request, Response>(
  handler: Unary<Request, Response>,
  host: Host,
): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => {
    handler(call.request)
      .finally(() => host.flush())
      .then(
        (response) => callback(null, response),
        (error: unknown) => {
          const message = error instanceof Error ? error.message : String(error);
          const details = message.length > MAX_ERROR ? `… ${message.slice(-MAX_ERROR)}` : message;
          callback({ code: error instanceof ServiceError ? error.code : grpc.status.UNKNOWN, details });
        },
      );
  };
}

/** `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`; a name may contain colons. */
function typeOf(urn: string): string {
  return urn.split("::")[2]?.split("$").pop() ?? "";
}

function nameOf(urn: string): string {
  return urn.split("::").slice(3).join("::");
}

function failure(property: string, reason: string): proto.CheckFailure {
  return new proto.CheckFailure().setProperty(property).setReason(reason);
}

function withoutReserved(wire: Props): Props {
  return Object.fromEntries(Object.entries(wire).filter(([key]) => !RESERVED.includes(key)));
}

/** Names of the properties that differ, for use in `replaceOn`. */
export function changes(olds: Props, news: Props): string[] {
  const names = new Set([...Object.keys(olds), ...Object.keys(news)]);
  return [...names].filter((key) => !isDeepStrictEqual(comparable(olds[key]), comparable(news[key])));
}

/** An absent value equals null, and assets are equal if their hashes are. */
function comparable(value: Value): Value {
  if (Array.isArray(value)) {
    return value.map(comparable);
  }
  if (!isObject(value)) {
    return value ?? undefined;
  }
  if (isObject(value.asset) && typeof value.asset.hash === "string") {
    return { asset: { hash: value.asset.hash } };
  }
  const entries = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, comparable(item)]));
}

function kindOf(before: boolean, after: boolean, replaces: boolean): proto.PropertyDiff.Kind {
  const { ADD, ADD_REPLACE, DELETE, DELETE_REPLACE, UPDATE, UPDATE_REPLACE } = proto.PropertyDiff.Kind;
  if (before === after) {
    return replaces ? UPDATE_REPLACE : UPDATE;
  }
  if (after) {
    return replaces ? ADD_REPLACE : ADD;
  }
  return replaces ? DELETE_REPLACE : DELETE;
}

/** A provider's settings are strings on the wire; values other than strings are encoded as JSON. */
function decode(value: Value): Value {
  if (typeof value !== "string" || !/^(true|false|[[{].*)$/s.test(value)) {
    return value;
  }
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function unwrapAll(wire: Props): Props {
  return unwrap(wire) as Props;
}

function unwrap(value: Value): Value {
  if (Array.isArray(value)) {
    return value.map(unwrap);
  }
  if (!isObject(value)) {
    return value;
  }
  const { [SIGNATURE]: signature, ...rest } = value;
  switch (signature) {
    case undefined:
      return Object.fromEntries(Object.entries(rest).map(([key, item]) => [key, unwrap(item)]));
    case SECRET:
      return unwrap(rest.value);
    case ASSET:
      return { asset: rest };
    case ARCHIVE:
      return { archive: unwrap(rest) };
    case RESOURCE:
      return rest.id ?? rest.urn;
    default:
      throw new ServiceError(grpc.status.INVALID_ARGUMENT, `unknown signature ${String(signature)}`);
  }
}

function hasSecret(value: Value): boolean {
  if (Array.isArray(value)) {
    return value.some(hasSecret);
  }
  return isObject(value) && (value[SIGNATURE] === SECRET || Object.values(value).some(hasSecret));
}

interface WrapRules {
  secrets: readonly string[];
  /** If set, every property that is not one of these is secret if any property on the wire is. */
  rest?: Props;
}

/** Restores values as they were on the wire. A changed value is secret if any part of the original value was. */
function wrapAll(values: Props, wire: Props, rules: WrapRules): Props {
  const any = rules.rest !== undefined && Object.values(wire).some(hasSecret);
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => {
      const came = Object.hasOwn(wire, key) ? wire[key] : undefined;
      const same = came !== undefined && isDeepStrictEqual(unwrap(came), value);
      const wrapped = same ? came : value;
      const secret =
        rules.secrets.includes(key) ||
        (!same && hasSecret(came)) ||
        (any && !Object.hasOwn(rules.rest ?? {}, key));
      const whole = isObject(wrapped) && wrapped[SIGNATURE] === SECRET;
      return [key, secret && !whole ? { [SIGNATURE]: SECRET, value: wrapped } : wrapped];
    }),
  );
}

function isObject(value: Value): value is Props {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fromStruct(struct: Struct | undefined): Props {
  return (struct?.toJavaScript() ?? {}) as Props;
}

function toStruct(values: Props): Struct {
  return Struct.fromJavaScript(withoutUndefined(values) as { [key: string]: JavaScriptValue });
}

function withoutUndefined(value: Value): Value {
  if (Array.isArray(value)) {
    return value.map((item) => withoutUndefined(item) ?? null);
  }
  if (!isObject(value)) {
    return value;
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutUndefined(item)]));
}
