/** The one policy by which an address becomes a script: the page's headers (services/web/core.py) allow no other. */

interface Policy {
  createScriptURL(address: string): string;
}

interface Factory {
  createPolicy(name: string, rules: Policy): unknown;
}

/** Whether the address is a script of our own build. */
export function isOwnScript(address: string, page: string): boolean {
  const url = new URL(address, page);
  return url.origin === new URL(page).origin && url.protocol !== "blob:" && url.pathname.endsWith(".js") && url.search === "";
}

function checked(address: string): string {
  // A development server names its modules as it likes, and sends no policy.
  if (!import.meta.env.DEV && !isOwnScript(address, location.href)) throw new TypeError(`Not a script of ours: ${address}`);
  return address;
}

/** Lets the library start the worker of encrypted calls. A browser asks the policy `default` about each script's address. */
export function allowOwnScripts(): void {
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  factory?.createPolicy("default", { createScriptURL: checked });
}
