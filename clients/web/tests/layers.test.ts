import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const ROOT = new URL("../src/", import.meta.url);
const sources = (folder: string) => readdirSync(new URL(folder, ROOT)).filter((name) => name.endsWith(".ts")).map((name) => `${folder}${name}`);
const textOf = (file: string) => readFileSync(new URL(file, ROOT), "utf8");
const imports = (file: string) => [...textOf(file).matchAll(/from "([^"]+)"/g)].map((match) => match[1] ?? "");

describe("layers", () => {
  test.each(sources("core/"))("%s imports only its neighbours and reads no clock, chance, network or page", (file) => {
    expect(imports(file).filter((path) => !path.startsWith("./"))).toEqual([]);
    const code = textOf(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    expect(code).not.toMatch(/\b(Date\.now|Math\.random|setTimeout|setInterval|fetch)\(|\b(document|window|navigator|crypto)\.\w/);
  });

  test.each([...sources("./"), ...sources("encryption/")])("%s uses no framework, and nothing that is there for tests", (file) => {
    expect(imports(file).filter((path) => !/^(\.\/|\.\.\/)(?!testing\/)|^@(bufbuild|connectrpc|hpke)\//.test(path))).toEqual([]);
  });
});
