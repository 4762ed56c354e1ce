import {
  AssociateAddressCommand,
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  EC2Client,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { type AwsAccess, awsClientConfig } from "../lib/aws";

export interface InstanceState {
  /** Such as `running`; `terminated` for an instance that EC2 no longer lists. */
  name: string;
  /** Milliseconds since the epoch; 0 for an instance that EC2 no longer lists. */
  launched: number;
}

const NONE: InstanceState = { name: "terminated", launched: 0 };

/** The instances and addresses of EC2 that a handover concerns. */
export class Instances {
  readonly #client: EC2Client;

  constructor(access: AwsAccess) {
    this.#client = new EC2Client(awsClientConfig(access));
  }

  /** The instance that has an Elastic IP address; undefined if none has it. */
  async holder(allocationId: string): Promise<string | undefined> {
    const { Addresses } = await this.#client.send(
      new DescribeAddressesCommand({ AllocationIds: [allocationId] }),
    );
    return Addresses?.[0]?.InstanceId || undefined;
  }

  async state(instanceId: string): Promise<InstanceState> {
    try {
      const { Reservations } = await this.#client.send(
        new DescribeInstancesCommand({ InstanceIds: [instanceId] }),
      );
      const { State, LaunchTime } = Reservations?.[0]?.Instances?.[0] ?? {};
      return State?.Name ? { name: State.Name, launched: LaunchTime?.getTime() ?? 0 } : NONE;
    } catch (error) {
      if ((error as Error).name === "InvalidInstanceID.NotFound") {
        return NONE;
      }
      throw error;
    }
  }

  async terminate(instanceId: string): Promise<void> {
    await this.#client.send(new TerminateInstancesCommand({ InstanceIds: [instanceId] }));
  }

  /** Moves the address from any instance to this one. */
  async associate(allocationId: string, instanceId: string): Promise<void> {
    await this.#client.send(
      new AssociateAddressCommand({
        AllocationId: allocationId,
        InstanceId: instanceId,
        AllowReassociation: true,
      }),
    );
  }

  close(): void {
    this.#client.destroy();
  }
}
