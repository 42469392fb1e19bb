import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const sources = (folder: string) => readdirSync(folder).filter((name) => /\.tsx?$/.test(name)).map((name) => `${folder}/${name}`);
const imports = (file: string) => [...readFileSync(file, "utf8").matchAll(/from "([^"]+)"/g)].map((match) => match[1] ?? "");

describe("layers", () => {
  test.each(sources("src/parley/core"))("%s imports only its neighbours and reads no clock, chance, network or page", (file) => {
    expect(imports(file).filter((path) => !path.startsWith("./"))).toEqual([]);
    const code = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    expect(code).not.toMatch(/\b(Date\.now|Math\.random|setTimeout|setInterval|fetch)\(|\b(document|window|navigator|crypto)\.\w/);
  });

  test.each(sources("src/parley"))("%s does not know the interface", (file) => {
    expect(imports(file).filter((path) => path.includes("/ui/") || path.startsWith("preact"))).toEqual([]);
  });

  test.each(sources("src/ui"))("%s uses the library by its public face", (file) => {
    expect(imports(file).filter((path) => path.includes("../parley/") || path.includes("/gen/"))).toEqual([]);
  });
});
