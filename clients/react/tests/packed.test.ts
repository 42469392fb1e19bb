import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { from } from "../vitest.config.js";

// The compiler sees its types by the documentation: tests/unit/docs/typescript_blocks.py.
const PATIENCE_MS = 300_000;
const program = (path: string): string => from(`../../node_modules/${path}`);
let folder: string;
let tarball: string;

async function run(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { cwd: folder, maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "parley-react-"));
  // As `prepack` does; what is to be packed was built before the tests.
  copyFileSync(from("../../LICENSE"), from("LICENSE"));
  await run("npm", "pack", from("."), "--ignore-scripts", "--pack-destination", folder);
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "");
}, PATIENCE_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("publint finds nothing to say about the package", async () => {
  expect(await run(process.execPath, program("publint/src/cli.js"), tarball, "--strict")).toContain("All good");
}, PATIENCE_MS);

test("its types are what its modules are", async () => {
  const said = await run(process.execPath, program("@arethetypeswrong/cli/dist/index.js"), tarball, "--profile", "esm-only", "--exclude-entrypoints", "style.css", "--no-emoji", "--no-color");
  // The command fails where it finds a problem.
  expect(said).toMatch(/"@parley\/react" +│ "@parley\/react\/elements" +│/);
  expect(said).toMatch(/node16 \(from ESM\) +│ OK \(ESM\) +│ OK \(ESM\) +│/);
  expect(said).toMatch(/bundler +│ OK +│ OK +│/);
}, PATIENCE_MS);

test("what it ships has a licence, a style sheet, and types and maps of every module", async () => {
  const shipped = (await run("tar", "-tf", tarball)).split("\n").map((name) => name.replace(/^package\//, ""));
  expect(shipped).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json", "dist/style.css", "dist/index.js"]));
  const modules = shipped.filter((name) => name.endsWith(".js"));
  expect(modules.length).toBeGreaterThan(15);
  for (const name of modules) expect(shipped).toEqual(expect.arrayContaining([name.replace(/\.js$/, ".d.ts"), `${name}.map`]));
});
