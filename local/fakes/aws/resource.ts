import { autoname, type Props, type ResourceDefinition } from "../framework";

/**
 * Inputs, and state, of a resource. Their types are those of @pulumi/aws, which the program was compiled with, and the
 * emulator checks the values.
 */
// biome-ignore lint/suspicious/noExplicitAny: the engine sends plain values; see above
type Values<Name extends string> = Record<Name | "id", any>;

/** A resource of AWS as calls of its API. What a resource is and holds is known to the emulator alone. */
export interface ApiResource<Name extends string>
  extends Omit<
    ResourceDefinition,
    "inputs" | "replaceOn" | "check" | "create" | "update" | "delete" | "read"
  > {
  inputs: readonly Name[];
  replaceOn?: readonly NoInfer<Name>[];
  /** Whether Pulumi names the resource if the program does not. */
  autonamed?: boolean;
  check?: ResourceDefinition["check"];
  /** Creates it. Returns its ID and its outputs that are not inputs. */
  create(inputs: Values<NoInfer<Name>>): Promise<{ id: unknown; [output: string]: unknown }>;
  /** Changes it in place. Without it, every change that does not replace the resource is rejected with its name. */
  update?(inputs: Values<NoInfer<Name>>, olds: Values<NoInfer<Name>>): Promise<unknown>;
  /** Without it, deletion only forgets the resource. */
  delete?(olds: Values<NoInfer<Name>>): Promise<unknown>;
  read?: ResourceDefinition["read"];
}

export function resource<const Name extends string>(calls: ApiResource<Name>): ResourceDefinition {
  const { autonamed, check, create, update, delete: remove, ...rest } = calls;
  const values = (id: string, props: Props) => ({ ...props, id }) as Values<Name>;
  return {
    ...rest,
    check: autonamed
      ? (inputs, context) => autoname(check?.(inputs, context) ?? inputs, "name", context)
      : check,
    create: async (inputs) => {
      const { id, ...outputs } = await create(inputs as Values<Name>);
      return { id: String(id), outputs };
    },
    update:
      update &&
      (async (id, olds, news) => {
        await update(values(id, news), values(id, olds));
        return {};
      }),
    delete:
      remove &&
      (async (id, olds) => {
        await remove(values(id, olds));
      }),
  };
}

/** Tags as a list of `{ Key, Value }`. */
export function tagList(tags: Record<string, string> | undefined): { Key: string; Value: string }[] {
  return Object.entries(tags ?? {}).map(([Key, Value]) => ({ Key, Value }));
}
