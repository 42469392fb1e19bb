import { SERVICES } from "./gen/wire-tables.js";
import type { Method } from "./grpc-web.js";

export type ServiceName = keyof typeof SERVICES;

export interface ServiceMethod extends Method {
  /** As a client names it, such as `sendMessage`. */
  readonly localName: string;
  readonly isStream: boolean;
}

/** The methods of a service, as the tables have them. */
export function methodsOf(service: ServiceName): ServiceMethod[] {
  return SERVICES[service].split(",").map((line) => {
    const [name = "", input, output, stream] = line.split(" ");
    const localName = name.charAt(0).toLowerCase() + name.slice(1);
    return { path: `${service}/${name}`, localName, input: Number(input), output: Number(output), isStream: stream !== undefined };
  });
}
