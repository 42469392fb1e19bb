import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { JobKind, JobState } from "../gen/parley/messaging/v1/accounts_pb.js";
import type { MockBackend } from "./backend.js";

/** An export is done when it is asked about for the second time. */
export function accountOf(backend: MockBackend) {
  let asked = 0;
  const job = (state: JobState, downloadUrls: string[] = []) => ({
    job: { jobId: "job", kind: JobKind.EXPORT, state, downloadUrls, expireTime: timestampFromMs(backend.now() + 86_400_000) },
  });
  return {
    startExport: () => {
      backend.count("startExport");
      asked = 0;
      return job(JobState.RUNNING);
    },
    getJob: () => {
      backend.count("getJob");
      return ++asked < 2 ? job(JobState.RUNNING) : job(JobState.DONE, ["mock-download:part-1", "mock-download:part-2"]);
    },
    deleteAccount: ({ confirmUserId }: { confirmUserId: string }) => {
      backend.count(`deleteAccount ${confirmUserId}`);
      return job(JobState.RUNNING);
    },
  };
}
