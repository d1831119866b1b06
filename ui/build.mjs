// Builds the page into services/recio/apps/main_app/static: hashed names, gzipped, nothing else.
// Fails when the whole first load is larger than the budget.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../services/recio/apps/main_app/static");
const BUDGET = 60 * 1024;

const result = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx" },
  outdir: "unused",
  bundle: true,
  minify: true,
  write: false,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
});

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "assets"), { recursive: true });
let total = 0;

function put(name, content) {
  const packed = gzipSync(content, { level: 9 });
  // Byte 9 of the header names the operating system: the same on every machine, please.
  packed[9] = 255;
  total += packed.length;
  writeFileSync(join(out, `${name}.gz`), packed);
  console.log(`${String(packed.length).padStart(7)}  ${name}`);
}

const names = {};
for (const file of result.outputFiles) {
  const kind = file.path.endsWith(".css") ? "css" : "js";
  const hash = createHash("sha256").update(file.contents).digest("hex").slice(0, 10);
  names[kind] = `/assets/app-${hash}.${kind}`;
  put(names[kind].slice(1), file.contents);
}
put("icon.svg", readFileSync(join(here, "src/icon.svg")));
put(
  "index.html",
  readFileSync(join(here, "src/index.html"), "utf8")
    .replace("%SCRIPT%", names.js)
    .replace("%STYLE%", names.css),
);
console.log(`${String(total).padStart(7)}  bytes in all, gzipped; at most ${BUDGET}`);
if (total > BUDGET) process.exit(1);
