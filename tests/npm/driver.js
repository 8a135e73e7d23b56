// The npm package on Bun. It is handed its entry point; OPTIONS are node-postgres's. A line of stdin is a list of calls,
// {method, arguments}, made at once; a line of stdout is the list of their outcomes, {result} or {error}. Values stand
// as tests/npm/javascript.py describes them.
import { createInterface } from "node:readline";

const { PostgresCheckpointStore } = await import(process.argv[2]);
const store = new PostgresCheckpointStore(undefined, JSON.parse(process.env.OPTIONS));

const bits = new DataView(new ArrayBuffer(8));

function shown(value) {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    bits.setFloat64(0, value);
    return ["number", bits.getBigUint64(0).toString(16).padStart(16, "0")];
  }
  if (value instanceof Date) return ["Date", value.getTime()];
  if (value instanceof Set) return ["Set", [...value].map(shown)];
  if (value instanceof Map) return ["Map", [...value].map((entry) => entry.map(shown))];
  if (Buffer.isBuffer(value)) return ["Buffer", value.toString("base64")];
  if (Array.isArray(value)) return ["array", value.map(shown)];
  if (typeof value !== "object") throw new TypeError(`a ${typeof value}`);
  const present = Object.entries(value).filter(([, item]) => item !== undefined);
  return ["object", present.map(([name, item]) => [name, shown(item)])];
}

function made(value) {
  if (!Array.isArray(value)) return value;
  const [kind, content] = value;
  switch (kind) {
    case "number":
      bits.setBigUint64(0, BigInt(`0x${content}`));
      return bits.getFloat64(0);
    case "Date": return new Date(content);
    case "Set": return new Set(content.map(made));
    case "Map": return new Map(content.map((entry) => entry.map(made)));
    case "Buffer": return Buffer.from(content, "base64");
    case "array": return content.map(made);
    case "object": return Object.fromEntries(content.map(([name, item]) => [name, made(item)]));
    default: throw new TypeError(`unknown kind ${kind}`);
  }
}

async function outcome({ method, arguments: given }) {
  try {
    return { result: shown((await store[method](...given.map(made))) ?? null) };
  } catch (error) {
    return { error: String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await Promise.all(JSON.parse(line).map(outcome)))}\n`);
}
await store.close();
