import type { Api } from "./api.js";
import type { Job } from "./core/relations.js";
import { asFailure, orFailure } from "./errors.js";
import type { Job as WireJob } from "./gen/parley/messaging/v1/accounts_pb.js";
import { readJob } from "./wire-relations.js";

/** All of a person's data: taken along, or deleted. Every method rejects with a Failure. */
export class Account {
  constructor(
    private readonly api: Api,
    private readonly userId: string,
    private readonly onDeleted: () => void,
  ) {}

  /** Starts an export, or gives the one that runs or was made within the last day. */
  startExport(): Promise<Job> {
    return read(this.api.account.startExport({}));
  }

  /** The state of an export. */
  job(jobId: string): Promise<Job> {
    return read(this.api.account.getJob({ jobId }));
  }

  /** Deletes everything of this account, on this device at once. It cannot be stopped or taken back. */
  async delete(): Promise<Job> {
    const job = await read(this.api.account.deleteAccount({ confirmUserId: this.userId }));
    this.onDeleted();
    return job;
  }
}

async function read(request: Promise<{ job?: WireJob | undefined }>): Promise<Job> {
  const { job } = await orFailure(request);
  if (!job) throw asFailure(new Error("no job in the answer"));
  return readJob(job);
}
