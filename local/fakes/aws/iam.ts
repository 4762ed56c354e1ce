import {
  AddRoleToInstanceProfileCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  DeleteInstanceProfileCommand,
  DeleteRoleCommand,
  DeleteRolePermissionsBoundaryCommand,
  DeleteRolePolicyCommand,
  IAMClient,
  PutRolePermissionsBoundaryCommand,
  PutRolePolicyCommand,
  RemoveRoleFromInstanceProfileCommand,
} from "@aws-sdk/client-iam";
import { autoname, changes, InputError, type Props, type ResourceDefinition } from "../framework";
import { connection } from "./account";

const client = () => new IAMClient(connection());

const role: ResourceDefinition = {
  inputs: ["name", "description", "assumeRolePolicy", "permissionsBoundary", "tags"],
  // AWS changes the other properties in place; of these, this stack changes only the boundary.
  replaceOn: ["name"],
  check: (inputs, context) => autoname(inputs, "name", context),
  create: async (inputs) => {
    const name = inputs.name as string;
    const { Role } = await client().send(
      new CreateRoleCommand({
        RoleName: name,
        Description: inputs.description as string,
        AssumeRolePolicyDocument: inputs.assumeRolePolicy as string,
        PermissionsBoundary: inputs.permissionsBoundary as string | undefined,
      }),
    );
    return { id: name, outputs: { arn: Role?.Arn } };
  },
  update: async (id, olds, news) => {
    const changed = changes(olds, news).filter((property) => role.inputs.includes(property));
    if (changed.some((property) => property !== "permissionsBoundary")) {
      throw new InputError(changed.join(", "), "the local fake cannot change it");
    }
    const PermissionsBoundary = news.permissionsBoundary as string | undefined;
    if (PermissionsBoundary) {
      await client().send(new PutRolePermissionsBoundaryCommand({ RoleName: id, PermissionsBoundary }));
    } else {
      await client().send(new DeleteRolePermissionsBoundaryCommand({ RoleName: id }));
    }
    return {};
  },
  delete: async (id) => void (await client().send(new DeleteRoleCommand({ RoleName: id }))),
};

const rolePolicy: ResourceDefinition = {
  inputs: ["name", "role", "policy"],
  replaceOn: ["name", "role"],
  check: (inputs, context) => autoname(inputs, "name", context),
  create: async (inputs) => {
    await putRolePolicy(inputs);
    return { id: `${inputs.role}:${inputs.name}`, outputs: {} };
  },
  update: async (_id, _olds, news) => {
    await putRolePolicy(news);
    return {};
  },
  delete: async (_id, olds) =>
    void (await client().send(
      new DeleteRolePolicyCommand({ RoleName: olds.role as string, PolicyName: olds.name as string }),
    )),
};

async function putRolePolicy(inputs: Props): Promise<void> {
  await client().send(
    new PutRolePolicyCommand({
      RoleName: inputs.role as string,
      PolicyName: inputs.name as string,
      PolicyDocument: inputs.policy as string,
    }),
  );
}

const instanceProfile: ResourceDefinition = {
  inputs: ["name", "role", "tags"],
  replaceOn: ["name", "role"],
  check: (inputs, context) => autoname(inputs, "name", context),
  create: async (inputs) => {
    const names = { InstanceProfileName: inputs.name as string, RoleName: inputs.role as string };
    const { InstanceProfile } = await client().send(new CreateInstanceProfileCommand(names));
    await client().send(new AddRoleToInstanceProfileCommand(names));
    return { id: names.InstanceProfileName, outputs: { arn: InstanceProfile?.Arn } };
  },
  delete: async (id, olds) => {
    const names = { InstanceProfileName: id, RoleName: olds.role as string };
    await client().send(new RemoveRoleFromInstanceProfileCommand(names));
    await client().send(new DeleteInstanceProfileCommand(names));
  },
};

export const iam: Record<string, ResourceDefinition> = {
  "aws:iam/role:Role": role,
  "aws:iam/rolePolicy:RolePolicy": rolePolicy,
  "aws:iam/instanceProfile:InstanceProfile": instanceProfile,
};
