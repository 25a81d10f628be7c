// How the page asks: with the key of this tab where there is one, and with every refusal as a Problem.

const KEY = "pws-key";
const ROOT = new URL("..", import.meta.url).pathname.slice(0, -1); // where the service is: a proxy may have it below a path
const PATIENCE = 8000;
let held = null;

export class Problem extends Error {
  constructor(status, type, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.type = type;
    this.retryAfter = retryAfter;
  }
}

/** The key of this tab. Never in a URL, never in a cookie, gone with the tab. */
export const key = {
  get() {
    if (held !== null) return held;
    try {
      return sessionStorage.getItem(KEY);
    } catch {
      return null;
    }
  },
  set(value) {
    held = value;
    try {
      sessionStorage.setItem(KEY, value);
    } catch {
      // Then it lasts as long as the page.
    }
  },
  forget() {
    held = null;
    try {
      sessionStorage.removeItem(KEY);
    } catch {
      // There was nothing to forget.
    }
  },
};

/** The response, or a Problem. What is not answered at all is the TypeError or AbortError of `fetch`. */
export async function open(path, { method = "GET", headers = {}, body, signal } = {}) {
  const sent = { ...headers };
  const secret = key.get();
  if (secret) sent.Authorization = `Bearer ${secret}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const response = await fetch(ROOT + path, {
    method,
    headers: sent,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
    cache: "no-store",
    credentials: "same-origin",
    redirect: "error",
  });
  if (!response.ok) throw await problem(response);
  return response;
}

/** The JSON of the answer (null where there is none), within a few seconds. */
export async function ask(path, options = {}) {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), PATIENCE);
  try {
    const response = await open(path, { ...options, signal: control.signal });
    return response.status === 204 ? null : await response.json();
  } finally {
    clearTimeout(timer);
  }
}

async function problem(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // Not one of ours: a proxy's page, say.
  }
  const wait = Number(response.headers.get("Retry-After"));
  const detail = typeof told.detail === "string" && told.detail ? told.detail : `HTTP ${response.status}`;
  return new Problem(response.status, String(told.type ?? ""), detail, wait > 0 ? wait : null);
}
