// Lets the contract suite speak through the official TypeScript client: one JSON line in, one out.
//
//   {id, do: "join", member: {base, keyId?, pem?, timeoutMs}}         -> {id, member: 1}
//   {id, do: "call", member, api: "orders", method, args}             -> {id, status, data, headers, misfits}
//   {id, do: "raw", member, method, path, body?, text?}               -> the same
//   {id, do: "sign", member, method, path}                            -> {id, headers}
//   {id, do: "skew", milliseconds}                                    -> {id}
//   {id, do: "check", model, value}                                   -> {id, misfits}
//   {id, do: "open", member, url, isSigned}                           -> {id, socket: 1} or {id, status, data}
//   {id, do: "send", socket, text}   {id, do: "frame", socket}        -> {id} / {id, text} or {id, closed}
//   {id, do: "shut", socket}                                          -> {id}
//
// Whatever an exchange refuses comes back with its status; {id, lost} is a request without an answer.

import { dirname, join } from "node:path";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import * as kalshi from "kalshi-typescript";
import axios from "axios";
import WebSocket from "ws";

import { Shapes } from "./shapes.mjs";

const APIS = {
  account: "AccountApi",
  apiKeys: "ApiKeysApi",
  events: "EventsApi",
  exchange: "ExchangeApi",
  historical: "HistoricalApi",
  market: "MarketApi",
  orderGroups: "OrderGroupsApi",
  orders: "OrdersApi",
  portfolio: "PortfolioApi",
};

const require = createRequire(import.meta.url);
const shapes = new Shapes(join(dirname(require.resolve("kalshi-typescript")), ".."));
const clockNow = Date.now;
const members = new Map();
const sockets = new Map();
let lastNumber = 0;

class Member {
  constructor({ base, keyId, pem, timeoutMs }) {
    const configuration = new kalshi.Configuration({ basePath: base, apiKey: keyId, privateKeyPem: pem });
    this.base = base;
    // Each API adds its signing to the axios instance that it is given, so none may share one.
    for (const [name, type] of Object.entries(APIS)) {
      this[name] = new kalshi[type](configuration, undefined, axios.create({ timeout: timeoutMs, proxy: false }));
    }
  }
}

/** Frames of one WebSocket, handed out one by one. */
class Socket {
  constructor(socket) {
    this.socket = socket;
    this.frames = [];
    this.waiting = null;
    this.isClosed = false;
    socket.on("message", (data) => this.#tell({ text: data.toString() }));
    socket.on("close", () => {
      this.isClosed = true;
      this.#tell({ closed: true });
    });
    socket.on("error", () => {});
  }

  frame() {
    if (this.frames.length > 0) return Promise.resolve(this.frames.shift());
    if (this.isClosed) return Promise.resolve({ closed: true });
    return new Promise((resolve) => (this.waiting = resolve));
  }

  #tell(frame) {
    if (this.waiting === null) {
      this.frames.push(frame);
    } else {
      const resolve = this.waiting;
      this.waiting = null;
      resolve(frame);
    }
  }
}

function answered(reply) {
  return { status: reply.status, data: reply.data ?? null, headers: { ...reply.headers } };
}

function isSuccess({ status }) {
  return status >= 200 && status < 300;
}

async function attempt(request) {
  try {
    return answered(await request());
  } catch (error) {
    if (!axios.isAxiosError(error)) return { fault: String(error?.stack ?? error) };
    // A success that was cut off in the middle is no answer, although its head has come.
    return error.response && !isSuccess(error.response) ? answered(error.response) : { lost: error.message };
  }
}

/** An answer with what in it does not fit what the client declares for its method, if it has one. */
function checked(answer, method) {
  const isDeclared = isSuccess(answer) && method !== undefined;
  return { ...answer, misfits: isDeclared ? shapes.misfits(method, answer.status, answer.data) : [] };
}

const actions = {
  join({ member }) {
    members.set(++lastNumber, new Member(member));
    return { member: lastNumber };
  },

  async call({ member, api, method, args }) {
    const target = members.get(member)[api];
    // JSON has no undefined; the client leaves only that out of a query.
    const given = args.map((each) => (each === null ? undefined : each));
    return checked(await attempt(() => target[method](...given)), method);
  },

  async raw({ member, method, path, body, text }) {
    const { base, exchange } = members.get(member);
    const headers = { "Content-Type": "application/json" };
    // As bytes, a text that is no JSON goes out as it is.
    const data = text === undefined ? body : Buffer.from(text);
    const answer = await attempt(() => exchange.axios.request({ method, url: base + path, data, headers }));
    return checked(answer, shapes.methodOf(method, path));
  },

  sign({ member, method, path }) {
    return { headers: members.get(member).exchange.auth.generateAuthHeaders(method, path) };
  },

  skew({ milliseconds }) {
    Date.now = () => clockNow() + milliseconds;
    return {};
  },

  check({ model, value }) {
    return { misfits: shapes.requestMisfits(model, value) };
  },

  open({ member, url, isSigned }) {
    const { auth } = members.get(member).exchange;
    const headers = isSigned ? auth.generateAuthHeaders("GET", new URL(url).pathname) : {};
    const socket = new WebSocket(url, { headers, perMessageDeflate: false });
    const wrapped = new Socket(socket);
    return new Promise((resolve) => {
      socket.on("open", () => {
        sockets.set(++lastNumber, wrapped);
        resolve({ socket: lastNumber });
      });
      socket.on("unexpected-response", (_request, response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () => resolve({ status: response.statusCode, data: Buffer.concat(parts).toString() }));
      });
      socket.on("error", (error) => resolve({ lost: error.message }));
    });
  },

  send({ socket, text }) {
    sockets.get(socket).socket.send(text);
    return {};
  },

  frame({ socket }) {
    return sockets.get(socket).frame();
  },

  shut({ socket }) {
    sockets.get(socket).socket.terminate();
    sockets.delete(socket);
    return {};
  },
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = await actions[request.do](request);
  } catch (error) {
    answer = { fault: String(error?.stack ?? error) };
  }
  process.stdout.write(JSON.stringify({ id: request.id, ...answer }) + "\n");
});
