/** The one policy by which an address becomes a script: the page's headers (services/web/core.py) allow no other. */

interface Policy {
  createScriptURL(address: string): string;
}

interface Factory {
  createPolicy(name: string, rules: Policy): Policy;
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

let policy: Policy | undefined;

/** The address as browsers with Trusted Types want it, once it is known for our own. */
export function scriptUrl(address: string): string {
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  policy ??= factory?.createPolicy("parley", { createScriptURL: checked }) ?? { createScriptURL: checked };
  return policy.createScriptURL(address);
}
