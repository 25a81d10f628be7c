// Server-sent events over `fetch`, so that a key can go along in a header; and a stream that comes back by itself.

import { open, Problem } from "./api.js";

const FIRST = 1000;
const LONGEST = 20000;
const SILENCE = 45000; // three keep-alives of the usual length

/** Takes text in pieces, hands out whole events: {id, event, data}. */
export class Parser {
  constructor(take) {
    this.take = take;
    this.pieces = [];
    this.data = [];
    this.event = "";
    this.id = null;
    this.retry = null;
  }

  feed(text) {
    let from = 0;
    for (;;) {
      const end = text.indexOf("\n", from);
      if (end < 0) break;
      let line = text.slice(from, end);
      if (this.pieces.length) {
        this.pieces.push(line);
        line = this.pieces.join("");
        this.pieces = [];
      }
      this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
      from = end + 1;
    }
    if (from < text.length) this.pieces.push(text.slice(from));
  }

  #line(line) {
    if (line === "") {
      if (this.data.length) this.take({ id: this.id, event: this.event || "message", data: this.data.join("\n") });
      this.data = [];
      this.event = "";
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment: a sign of life
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (name === "data") this.data.push(value);
    else if (name === "event") this.event = value;
    else if (name === "id") this.id = value;
    else if (name === "retry" && /^\d{1,6}$/.test(value)) this.retry = Number(value);
  }
}

/**
 * A stream that is opened again whenever it ends. `on.event(event)`, `on.alive()` for each byte,
 * `on.state(state, problem)` with the state connecting, open, lost (will try again) or refused (call `retry`).
 */
export class Stream {
  constructor(path, on) {
    this.path = path;
    this.on = on;
    this.last = null;
    this.failures = 0;
    this.timer = null;
    this.control = null;
    this.base = FIRST;
  }

  /** Open it now, whatever it is waiting for. */
  retry() {
    clearTimeout(this.timer);
    this.control?.abort();
    this.#run();
  }

  /** Begin anew: with a snapshot. */
  restart() {
    this.last = null;
    this.retry();
  }

  async #run() {
    const control = (this.control = new AbortController());
    let watchdog = null;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => control.abort(), SILENCE);
      this.on.alive();
    };
    let problem = null;
    this.on.state("connecting");
    try {
      const headers = { Accept: "text/event-stream" };
      if (this.last !== null) headers["Last-Event-ID"] = this.last;
      watchdog = setTimeout(() => control.abort(), SILENCE);
      const response = await open(this.path, { headers, signal: control.signal });
      alive();
      this.on.state("open");
      const parser = new Parser((event) => {
        this.failures = 0;
        if (event.id) this.last = event.id;
        this.on.event(event);
      });
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        alive();
        parser.feed(decoder.decode(value, { stream: true }));
        this.base = parser.retry ?? FIRST;
      }
    } catch (error) {
      if (error instanceof Problem) problem = error;
    } finally {
      clearTimeout(watchdog);
      control.abort();
    }
    if (this.control !== control) return; // another attempt has begun
    if (problem && (problem.status === 401 || problem.status === 403)) {
      this.on.state("refused", problem);
      return;
    }
    this.on.state("lost", problem);
    const longest = Math.min(LONGEST, this.base * 2 ** Math.min(this.failures, 10));
    const wait = problem?.retryAfter ? problem.retryAfter * 1000 : longest * (0.5 + Math.random() / 2);
    this.failures += 1;
    this.timer = setTimeout(() => this.#run(), wait);
  }
}
