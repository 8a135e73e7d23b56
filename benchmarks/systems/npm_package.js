// The npm package on Bun. It is handed its entry point, and speaks the protocol of benchmarks/driver.py.
import { createInterface } from "node:readline";

const { PostgresCheckpointStore } = await import(process.argv[2]);
const store = new PostgresCheckpointStore(process.env.BENCHMARK_URL, { max: 32 });
const codec = store.serializer;
const versions = new Map(); // it leaves the counting of versions to its caller
const firstVersion = (process.pid % 2000) * 1_000_000; // several processes may write to a session
let value;

const sessionOf = (parameters, client) => parameters.sessions[client % parameters.sessions.length];

const operations = {
  create: () => store.createSession("/srv/agent", { title: "A session" }),
  save: (parameters, client, turn) => {
    const sessionId = sessionOf(parameters, client);
    const version = (versions.get(sessionId) ?? firstVersion) + 1;
    versions.set(sessionId, version);
    return store.saveCheckpoint({
      sessionId, namespace: "", version, step: turn, nodeResults: parameters.state, pendingNodes: [], source: "loop",
    });
  },
  add: ({ message, ...parameters }, client) =>
    store.addMessage(sessionOf(parameters, client), { role: message.role, content: message.content }),
  update: (parameters, client, turn) => store.updateSession(sessionOf(parameters, client), { title: `Title ${turn}` }),
  add_many: async ({ message, count, ...parameters }, client) => {
    for (let number = 0; number < count; number += 1) {
      await store.addMessage(sessionOf(parameters, client), { role: message.role, content: message.content });
    }
  },
  latest: ({ session, namespace }) => store.getLatestCheckpoint(session, namespace ?? undefined),
  by_id: ({ checkpoint }) => store.getCheckpoint(checkpoint),
  transcript: ({ session, limit }) => store.getMessages(session, limit === null ? {} : { limit }),
  sessions: ({ workspace, limit }) => store.listSessions(workspace).then((all) => all.slice(0, limit)),
  fork: ({ checkpoint }) => store.fork(checkpoint),
  encode: () => codec.serialize(value),
  decode: ({ text }) => codec.deserialize(text),
};

async function answer({ operation, parameters, clients, turns }) {
  const call = operations[operation];
  if (!call) return { unsupported: true };
  if (operation === "encode") value = codec.deserialize(parameters.text);
  const nanoseconds = [];
  const client = async (number) => {
    for (let turn = 0; turn < turns; turn += 1) {
      const begin = Bun.nanoseconds();
      const result = call(parameters, number, turn);
      if (result instanceof Promise) await result;
      nanoseconds.push(Math.round(Bun.nanoseconds() - begin));
    }
  };
  const begin = Bun.nanoseconds();
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return { nanoseconds, wall: Math.round(Bun.nanoseconds() - begin) };
}

for await (const line of createInterface({ input: process.stdin })) {
  let result;
  try {
    result = await answer(JSON.parse(line));
  } catch (error) {
    result = { error: String(error).slice(0, 300) };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
await store.close();
