import { IAM } from "@aws-sdk/client-iam";
import { changes, InputError, type ResourceDefinition } from "../framework";
import { lazily } from "./account";
import { resource, tagList } from "./resource";

const iam = lazily(IAM);

const putPolicy = (inputs: Record<"name" | "role" | "policy", string>) =>
  iam().putRolePolicy({ RoleName: inputs.role, PolicyName: inputs.name, PolicyDocument: inputs.policy });

export const iamResources: Record<string, ResourceDefinition> = {
  "aws:iam/role:Role": resource({
    inputs: ["name", "description", "assumeRolePolicy", "permissionsBoundary", "tags"],
    replaceOn: ["name"],
    autonamed: true,
    create: async ({ name, description, assumeRolePolicy, permissionsBoundary, tags }) => {
      const { Role } = await iam().createRole({
        RoleName: name,
        Description: description,
        AssumeRolePolicyDocument: assumeRolePolicy,
        PermissionsBoundary: permissionsBoundary,
        Tags: tagList(tags),
      });
      return { id: name, arn: Role?.Arn };
    },
    // Of the properties that AWS changes in place, this stack changes only the boundary.
    update: async ({ id, permissionsBoundary, ...news }, olds) => {
      const others = ["description", "assumeRolePolicy", "tags"].filter((name) =>
        changes(olds, news).includes(name),
      );
      if (others.length > 0) {
        throw new InputError(others.join(", "), "the local fake cannot change it");
      }
      return permissionsBoundary
        ? iam().putRolePermissionsBoundary({ RoleName: id, PermissionsBoundary: permissionsBoundary })
        : iam().deleteRolePermissionsBoundary({ RoleName: id });
    },
    delete: ({ id }) => iam().deleteRole({ RoleName: id }),
  }),

  "aws:iam/rolePolicy:RolePolicy": resource({
    inputs: ["name", "role", "policy"],
    replaceOn: ["name", "role"],
    autonamed: true,
    create: async (inputs) => {
      await putPolicy(inputs);
      return { id: `${inputs.role}:${inputs.name}` };
    },
    update: putPolicy,
    delete: ({ role, name }) => iam().deleteRolePolicy({ RoleName: role, PolicyName: name }),
  }),

  "aws:iam/instanceProfile:InstanceProfile": resource({
    inputs: ["name", "role", "tags"],
    replaceOn: ["name", "role"],
    autonamed: true,
    create: async ({ name, role, tags }) => {
      const profile = { InstanceProfileName: name };
      const { InstanceProfile } = await iam().createInstanceProfile({ ...profile, Tags: tagList(tags) });
      await iam().addRoleToInstanceProfile({ ...profile, RoleName: role });
      return { id: name, arn: InstanceProfile?.Arn };
    },
    delete: async ({ id, role }) => {
      await iam().removeRoleFromInstanceProfile({ InstanceProfileName: id, RoleName: role });
      await iam().deleteInstanceProfile({ InstanceProfileName: id });
    },
  }),
};
