import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build, type Rollup } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";

/** What a page loads before it can write and read messages, in KiB after gzip. Calls, files and encryption come when they are needed. */
const BUDGET_KIB = 45;
/** What a page loads that uses every function of the library, too. */
const WHOLE_BUDGET_KIB = 50;
/** npm, TypeScript and Vite have work to do. */
const PATIENCE_MS = 300_000;

const PACKAGE = fileURLToPath(new URL("../", import.meta.url));
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const program = (path: string): string => join(ROOT, "node_modules", path);

/** A project of somebody else, outside of the repository. */
let folder: string;
let tarball: string;

async function run(command: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd: folder, maxBuffer: 16 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(" ")}:\n${stdout}\n${stderr}`, { cause: error });
  }
}

const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "parley-client-"));
  // As `prepack` does; what is to be packed was built before the tests.
  copyFileSync(join(ROOT, "LICENSE"), join(PACKAGE, "LICENSE"));
  await run("npm", "pack", PACKAGE, "--ignore-scripts", "--pack-destination", folder);
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "");
  write("package.json", JSON.stringify({ name: "somebodys-page", private: true, type: "module" }));
  await run("npm", "install", "--prefer-offline", "--no-audit", "--no-fund", tarball);
}, PATIENCE_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("publint finds nothing to say about the package", async () => {
  expect(await run(process.execPath, program("publint/src/cli.js"), tarball, "--strict")).toContain("All good");
}, PATIENCE_MS);

test("its types are what its modules are", async () => {
  // It is a package of ES modules: who requires them from CommonJS is told to import them.
  const said = await run(process.execPath, program("@arethetypeswrong/cli/dist/index.js"), tarball, "--profile", "esm-only", "--no-emoji", "--no-color");
  // The command fails where it finds a problem.
  expect(said).toMatch(/"@parley\/client" +│ OK \(ESM\) +│ OK/);
}, PATIENCE_MS);

test("what it ships has a licence, types and maps to sources that are in them", () => {
  const shipped = readdirSync(join(folder, "node_modules/@parley/client"), { recursive: true, encoding: "utf8" });
  expect(shipped).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json"]));
  const modules = shipped.filter((name) => name.endsWith(".js"));
  expect(modules.length).toBeGreaterThan(50);
  for (const name of modules) {
    expect(shipped).toContain(name.replace(/\.js$/, ".d.ts"));
    const map = JSON.parse(readFileSync(join(folder, "node_modules/@parley/client", `${name}.map`), "utf8")) as { sourcesContent: string[] };
    expect(map.sourcesContent[0]?.length).toBeGreaterThan(0);
  }
});

const PAGE = `import { devTokens, ParleyClient, storedDeviceId } from "@parley/client";

const me = new URLSearchParams(location.search).get("me") ?? "alice";
const client = new ParleyClient({ userId: me, deviceId: storedDeviceId(me), tokens: devTokens(me) });
const room: string = await client.messaging.openDirect("bob");
client.subscribe(() => {
  const lines = client.messaging.store.get(room)?.messages.map(({ content }) => (content.kind === "text" ? content.text : content.kind));
  document.title = lines?.join() ?? "";
});
client.start();
client.messaging.send(room, "Hello");
client.calls.dial(room, "bob", true);
`;

/** The TypeScript of a page of the documentation, as one program. */
function documented(page: string): string {
  const text = readFileSync(join(ROOT, page), "utf8");
  const blocks = [...text.matchAll(/^( *)```ts\n(.*?)^ *```/gms)].map(([, indent = "", block = ""]) => block.replaceAll(new RegExp(`^${indent}`, "gm"), ""));
  expect(blocks.length).toBeGreaterThan(0);
  return blocks.join("\n");
}

/** What the pages leave to their reader. */
const READERS_OWN = `
declare const people: readonly import("@parley/client").Person[];
declare const text: string, name: string, contentType: string, jwt: string, expiresMs: number;
declare const body: Blob;
declare function draw(client: import("@parley/client").ParleyClient): void;
`;

test("a project outside of the repository compiles with it, the types of its dependencies too, and so does what the pages say", async () => {
  write("page.ts", PAGE);
  write("library.ts", `import { findEntities } from "@parley/client";\n${READERS_OWN}declare const userId: string;\n${documented("clients/web/README.md")}`);
  write("readme.ts", `import { ParleyClient, storedDeviceId } from "@parley/client";\n${READERS_OWN}declare const me: string;\n${documented("README.md")}`);
  const compilerOptions = { target: "ES2022", module: "NodeNext", lib: ["ES2023", "DOM", "DOM.Iterable"], types: [], strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true };
  write("tsconfig.json", JSON.stringify({ compilerOptions, files: ["page.ts", "library.ts", "readme.ts"] }));
  await run(process.execPath, program("typescript/bin/tsc"), "--project", ".");
}, PATIENCE_MS);

async function bundle(code: string): Promise<Rollup.OutputChunk[]> {
  write("entry.js", code);
  const built = await build({
    root: folder,
    configFile: false,
    logLevel: "error",
    build: { write: false, target: "es2022", modulePreload: false, rollupOptions: { input: join(folder, "entry.js"), preserveEntrySignatures: "strict" } },
  });
  return (built as Rollup.RollupOutput).output.filter((part) => part.type === "chunk");
}

/** The entry with all that it loads by itself. */
function loadedFirst(chunks: readonly Rollup.OutputChunk[]): Rollup.OutputChunk[] {
  const found = new Set<Rollup.OutputChunk>(chunks.filter((chunk) => chunk.isEntry));
  for (const chunk of found) for (const name of chunk.imports) for (const other of chunks) if (other.fileName === name) found.add(other);
  return [...found];
}

/** In KiB after gzip; says so, too. */
function sizeOf(what: string, first: readonly Rollup.OutputChunk[]): number {
  const total = (compress: (code: string) => Uint8Array): number => first.reduce((sum, { code }) => sum + compress(code).length, 0) / 1024;
  const gzipKiB = total((code) => gzipSync(code, { level: 9 }));
  console.log(`@parley/client, ${what}, without calls: ${gzipKiB.toFixed(1)} KiB gzip, ${total(brotliCompressSync).toFixed(1)} KiB brotli`);
  return gzipKiB;
}

test(`messages take a page at most ${BUDGET_KIB} KiB`, async () => {
  // All that the quickstart's page takes of it.
  const chunks = await bundle(`export { devTokens, ParleyClient, storedDeviceId } from "@parley/client";`);
  expect(sizeOf("the client", loadedFirst(chunks))).toBeLessThanOrEqual(BUDGET_KIB);
}, PATIENCE_MS);

test(`the whole library takes a page at most ${WHOLE_BUDGET_KIB} KiB, and no code of calls`, async () => {
  const chunks = await bundle(`export * from "@parley/client";`);
  const first = loadedFirst(chunks);
  expect(sizeOf("all of it", first)).toBeLessThanOrEqual(WHOLE_BUDGET_KIB);
  const code = first.map((chunk) => chunk.code).join();
  expect(code).not.toMatch(/new RTCPeerConnection|new RTCRtpScriptTransform|new Worker\(/);
  const later = chunks.filter((chunk) => !first.includes(chunk)).map((chunk) => chunk.code).join();
  expect(later).toMatch(/new RTCPeerConnection/);
  expect(later).toMatch(/new Worker\(/);
}, PATIENCE_MS);

test("a page gets only what it uses", async () => {
  const [chunk] = loadedFirst(await bundle(`import { sizeLine } from "@parley/client"; export const line = sizeLine(2048);`));
  expect(chunk?.code.length).toBeLessThan(1000);
}, PATIENCE_MS);
