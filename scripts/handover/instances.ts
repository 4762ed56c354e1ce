import {
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  EC2Client,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { type AwsAccess, awsClientConfig } from "../lib/aws";

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

  /** State of an instance, such as `running`; `terminated` for one that EC2 no longer lists. */
  async state(instanceId: string): Promise<string> {
    try {
      const { Reservations } = await this.#client.send(
        new DescribeInstancesCommand({ InstanceIds: [instanceId] }),
      );
      return Reservations?.[0]?.Instances?.[0]?.State?.Name ?? "terminated";
    } catch (error) {
      if ((error as Error).name === "InvalidInstanceID.NotFound") {
        return "terminated";
      }
      throw error;
    }
  }

  async terminate(instanceId: string): Promise<void> {
    await this.#client.send(new TerminateInstancesCommand({ InstanceIds: [instanceId] }));
  }

  close(): void {
    this.#client.destroy();
  }
}
