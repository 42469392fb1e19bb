/** Finds words in the source that a reader would get in English only: in the elements, in what names them, in tables. */
import { parseSync } from "vite";

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/** Attributes that people read or hear, of elements and of our own components. */
const READ = new Set(["aria-label", "aria-description", "aria-roledescription", "aria-valuetext", "title", "placeholder", "alt", "label", "body", "verb", "none", "closed"]);
/** What these are given are keys. */
const TRANSLATORS = new Set(["t", "parts", "lineOf"]);
/** Names of keys, of browser events' kinds and of this product. */
const NAMES = new Set(["Enter", "Escape", "Tab", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "Files", "Parley", "AbortError"]);
/** Of text as an attribute or a child: any letter. */
const LETTERS = /\p{L}/u;
/** Of any other string: what begins as a sentence or a label does. */
const SENTENCE = /^\p{Lu}\p{Ll}+(?:[\s.,:…!?]|$)|\p{L}+ \p{L}+ \p{L}+[.…!?]$/u;

/** Each word or sentence that is not in the catalogs, with its line. */
export function untranslated(file: string, source: string): string[] {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) return errors.map((error) => `${file}: ${error.message}`);
  const found = new Map<number, string>();
  const report = (node: Node, text: string): void => {
    const words = text.trim();
    if (!NAMES.has(words)) found.set(node.start, `${file}:${source.slice(0, node.start).split("\n").length}: ${words}`);
  };
  walk(program as unknown as Node, (node) => {
    if (node.type === "JSXText" && LETTERS.test(node["value"] as string)) report(node, node["value"] as string);
    if (node.type === "JSXAttribute" && READ.has(nameOf(node["name"] as Node))) for (const text of shown(node["value"])) if (LETTERS.test(text.text)) report(text.node, text.text);
    if (node.type === "JSXElement" || node.type === "JSXFragment") {
      for (const child of node["children"] as Node[]) {
        if (child.type === "JSXExpressionContainer") for (const text of shown(child["expression"])) if (LETTERS.test(text.text)) report(text.node, text.text);
      }
    }
    for (const text of literal(node)) if (SENTENCE.test(text)) report(node, text);
  });
  return [...found.values()];
}

function nameOf(name: Node): string {
  return name["name"] as string;
}

function literal(node: Node): string[] {
  if (node.type === "Literal" && typeof node["value"] === "string") return [node["value"]];
  if (node.type === "TemplateElement") return [(node["value"] as { cooked: string }).cooked];
  return [];
}

/** The literals of which a shown value is made: the branches of a choice, the pieces of a template; not what a function is given. */
function shown(value: unknown): { node: Node; text: string }[] {
  if (!isNode(value)) return [];
  switch (value.type) {
    case "JSXExpressionContainer":
    case "ParenthesizedExpression":
      return shown(value["expression"]);
    case "ConditionalExpression":
      return [...shown(value["consequent"]), ...shown(value["alternate"])];
    case "LogicalExpression":
    case "BinaryExpression":
      return value.type === "LogicalExpression" || value["operator"] === "+" ? [...shown(value["left"]), ...shown(value["right"])] : [];
    case "TemplateLiteral":
      return [...(value["quasis"] as Node[]), ...(value["expressions"] as Node[])].flatMap(shown);
    default:
      return literal(value).map((text) => ({ node: value, text }));
  }
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  const isTranslation = node.type === "CallExpression" && TRANSLATORS.has(nameOf(node["callee"] as Node));
  for (const [key, child] of Object.entries(node)) {
    // The key itself; what is filled in is looked at.
    const children = (Array.isArray(child) ? child : [child]).filter(isNode);
    for (const next of isTranslation && key === "arguments" ? children.slice(1) : children) walk(next, visit);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}
