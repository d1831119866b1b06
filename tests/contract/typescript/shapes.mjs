// Checks values against the models that the official client declares in its .d.ts files, and answers
// against the success statuses that its documentation lists. The client itself checks nothing at run
// time; its declarations are generated from the exchange's OpenAPI document and are regular enough to
// be read line by line. A field that is not declared is fine in an answer, as it is for a TypeScript
// program.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const PRIMITIVES = new Set(["string", "number", "boolean"]);

export class Shapes {
  #isStrict = false;

  constructor(packageDirectory) {
    this.models = new Map();
    this.enums = new Map();
    this.answers = new Map();
    this.statuses = new Map();
    this.endpoints = [];
    this.#readEndpoints(readFileSync(join(packageDirectory, "README.md"), "utf8"));
    const models = join(packageDirectory, "dist", "models");
    for (const name of readdirSync(models).filter((each) => each.endsWith(".d.ts"))) {
      this.#readModels(readFileSync(join(models, name), "utf8"));
    }
    const apis = join(packageDirectory, "dist", "api");
    for (const name of readdirSync(apis).filter((each) => each.endsWith("-api.d.ts"))) {
      this.#readAnswers(readFileSync(join(apis, name), "utf8"));
    }
    const docs = join(packageDirectory, "docs");
    for (const name of readdirSync(docs).filter((each) => each.endsWith("Api.md"))) {
      this.#readStatuses(readFileSync(join(docs, name), "utf8"));
    }
  }

  /** What in an answer does not fit what the client declares for a method; empty: it fits. */
  misfits(method, status, body) {
    const found = [];
    const documented = this.statuses.get(method) ?? new Set();
    if (documented.size > 0 && !documented.has(status)) {
      found.push(`status ${status}, documented: ${[...documented].join(", ")}`);
    }
    const type = this.answers.get(method);
    if (type === undefined) {
      found.push(`no method ${method} is declared`);
    } else if (type === "void") {
      if (body !== undefined && body !== null && body !== "") found.push("a body where none is declared");
    } else {
      this.#check(type, body, "body", found);
    }
    return found;
  }

  /** The client's method for an endpoint ("GET", "/markets/ABC"), or undefined. */
  methodOf(verb, path) {
    const parts = path.split("?")[0].split("/");
    const fits = ({ verb: own, parts: pattern }) =>
      own === verb &&
      pattern.length === parts.length &&
      pattern.every((each, index) => each.startsWith("{") || each === parts[index]);
    const found = this.endpoints.filter(fits);
    // A fixed path wins over one with a parameter in the same place.
    found.sort((one, other) => one.path.split("{").length - other.path.split("{").length);
    return found[0]?.method;
  }

  /** What in a request does not fit a model; there a field that is not declared is wrong too. */
  requestMisfits(model, value) {
    const found = [];
    this.#isStrict = true;
    this.#check(model, value, model, found);
    this.#isStrict = false;
    return found;
  }

  #readModels(text) {
    for (const [, name, body] of text.matchAll(/export interface (\w+) \{\n([\s\S]*?)\n\}/g)) {
      const fields = [];
      for (const [, field, mark, type] of body.matchAll(/^    '([^']+)'(\??): (.+);$/gm)) {
        fields.push({ field, isOptional: mark === "?", type });
      }
      this.models.set(name, fields);
    }
    for (const [, name, body] of text.matchAll(/export declare const (\w+): \{\n([\s\S]*?)\n\}/g)) {
      const values = [...body.matchAll(/: "?([^";]*)"?;$/gm)].map(([, value]) => value);
      this.enums.set(name, new Set(values));
    }
  }

  #readEndpoints(text) {
    for (const [, method, verb, path] of text.matchAll(/^\*\w+\* \| \[\*\*(\w+)\*\*\]\S+ \| \*\*(\w+)\*\* (\S+) /gm)) {
      this.endpoints.push({ method, verb, path, parts: path.split("/") });
    }
  }

  #readAnswers(text) {
    for (const [, method, type] of text.matchAll(/^    (\w+)\(.*\): AxiosPromise<(.+)>;$/gm)) {
      this.answers.set(method, type);
    }
  }

  #readStatuses(text) {
    for (const part of text.split(/^# \*\*/m).slice(1)) {
      const method = part.slice(0, part.indexOf("**"));
      const listed = [...part.matchAll(/^\|\*\*(2\d\d)\*\* \|/gm)].map(([, status]) => Number(status));
      this.statuses.set(method, new Set(listed));
    }
  }

  #check(type, value, where, found) {
    if (type.endsWith(" | null")) {
      if (value !== null) this.#check(type.slice(0, -" | null".length), value, where, found);
    } else if (type.startsWith("Array<")) {
      this.#checkArray(type.slice("Array<".length, -1), value, where, found);
    } else if (PRIMITIVES.has(type)) {
      if (typeof value !== type) found.push(`${where}: expected a ${type}, received ${shown(value)}`);
    } else if (type === "object") {
      if (!isObject(value)) found.push(`${where}: expected an object, received ${shown(value)}`);
    } else if (this.enums.has(type)) {
      const values = this.enums.get(type);
      if (!values.has(String(value))) {
        found.push(`${where}: expected one of ${[...values].join(", ")}, received ${shown(value)}`);
      }
    } else if (this.models.has(type)) {
      this.#checkModel(this.models.get(type), value, where, found);
    } else if (type !== "any") {
      found.push(`${where}: the type ${type} is not known`);
    }
  }

  #checkArray(type, value, where, found) {
    if (!Array.isArray(value)) {
      found.push(`${where}: expected a list, received ${shown(value)}`);
      return;
    }
    value.forEach((each, index) => this.#check(type, each, `${where}[${index}]`, found));
  }

  #checkModel(fields, value, where, found) {
    if (!isObject(value)) {
      found.push(`${where}: expected an object, received ${shown(value)}`);
      return;
    }
    for (const { field, isOptional, type } of fields) {
      if (value[field] === undefined) {
        if (!isOptional) found.push(`${where}.${field}: missing`);
      } else {
        this.#check(type, value[field], `${where}.${field}`, found);
      }
    }
    if (this.#isStrict) {
      const declared = new Set(fields.map(({ field }) => field));
      for (const field of Object.keys(value).filter((each) => !declared.has(each))) {
        found.push(`${where}.${field}: not declared`);
      }
    }
  }
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value) {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 80);
}
