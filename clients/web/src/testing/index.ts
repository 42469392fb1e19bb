/** For tests of what is built on the library: a backend in memory, and plain values. */
export { MockBackend } from "./backend.js";
export { FakeMedia, remoteParticipant } from "./media.js";
export * from "./samples.js";
export { createApi } from "./api.js";
