// The picture of the last hours: how many were free, busy, on the phone or not sure, drawn as areas one on the other.

import { ask, Problem } from "./api.js";
import { now } from "./clock.js";
import { counted, moment } from "./words.js";

const WIDE = 720;
const TALL = 150;
const LAG_TALL = 30;
const ROWS = 24; // of the table, at most
const GAP = 2.5; // intervals without a sample after which the service was not running
const RETRY = 15; // seconds
const SVG = "http://www.w3.org/2000/svg";

const HATCHED = { unsure: { fill: "url(#hatch)" } }; // in a style sheet it would be looked for there

/** From the bottom to the top. */
const KINDS = [
  ["free", "free"],
  ["claimed", "claimed"],
  ["on_the_phone", "on the phone"],
  ["busy", "busy"],
  ["away", "away"],
  ["rest", "not free"],
  ["unsure", "not sure"],
];
const MARKS = {
  "subscription.lost": ["bad", "subscription lost"],
  "subscription.recreated": ["good", "subscription made anew"],
  "subscription.failed-over": ["bad", "gone to another node"],
  "subscription.missed": ["bad", "notifications missed"],
};

function make(name, kind = "", text = "") {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  if (text) node.textContent = text;
  return node;
}

function shape(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
}

/** The time of day; with seconds where times are less than a minute apart. */
const hour = (at, apart = 60000) => {
  const time = new Date(at);
  const parts = [time.getHours(), time.getMinutes(), ...(apart < 60000 ? [time.getSeconds()] : [])];
  return parts.map((each) => String(each).padStart(2, "0")).join(":");
};
const seconds = (number) => (number < 1 ? `${Math.max(1, Math.round(number * 1000))} ms` : `${number.toFixed(number < 10 ? 1 : 0)} s`);

/** What the service says, with times as numbers, and runs of samples without a gap between them. */
export function understood(body) {
  const samples = body.samples.map((each) => {
    const brief = each.busy === undefined;
    return { ...each, at: Date.parse(each.at), ...(brief ? { rest: each.total - each.free - each.unsure } : {}) };
  });
  const step = body.interval * 1000;
  const runs = [];
  for (const sample of samples) {
    const run = runs.at(-1);
    if (run && sample.at > run.at(-1).at && sample.at - run.at(-1).at <= step * GAP) run.push(sample);
    else runs.push([sample]);
  }
  const kinds = samples.length ? KINDS.filter(([key]) => samples[0][key] !== undefined) : [];
  const marks = body.marks.filter((each) => MARKS[each.event]).map((each) => ({ at: Date.parse(each.at), event: each.event }));
  return { samples, runs, kinds, marks, step };
}

/** The samples of a table: the last one of each part of the time, and what happened in it. */
export function rows({ samples, marks }) {
  const size = Math.max(1, Math.ceil(samples.length / ROWS));
  const found = [];
  for (let at = samples.length - 1; at >= 0; at -= size) {
    const before = samples[at - size];
    const events = marks.filter((mark) => mark.at <= samples[at].at && (!before || mark.at > before.at));
    found.push({ sample: samples[at], events });
  }
  const last = samples.at(-1);
  const later = last ? marks.filter((mark) => mark.at > last.at) : [];
  if (later.length) found[0].events.push(...later);
  return found;
}

export class Trends {
  constructor(root) {
    this.root = root;
    this.body = root.querySelector("#trends-body");
    this.group = "";
    this.data = null;
    this.timer = null;
    this.asked = 0;
    this.open = false;
    this.pointed = null; // where the pointer is in the picture
    new ResizeObserver(() => this.#labels()).observe(this.body);
  }

  /** The group to show; empty for all. */
  of(group) {
    if (group === this.group && this.asked) return;
    this.group = group;
    if (this.asked) this.load();
  }

  /** Ask for the picture now, and then at each sample. */
  async load() {
    clearTimeout(this.timer);
    const number = ++this.asked;
    let wait = RETRY;
    try {
      const body = await ask(`/v1/trends${this.group ? `?${new URLSearchParams({ group: this.group })}` : ""}`);
      if (number !== this.asked) return;
      wait = Math.max(1, body.interval);
      this.#show(understood(body));
    } catch (error) {
      if (number !== this.asked) return;
      if (error instanceof Problem && (error.status === 404 || error.status === 403)) this.root.hidden = true;
    }
    this.timer = setTimeout(() => this.load(), wait * 1000);
  }

  #say(text) {
    this.data = null;
    this.body.replaceChildren(make("p", "muted", text));
    this.root.hidden = false;
  }

  #show(data) {
    this.root.hidden = false;
    if (data.samples.length < 2) {
      const why = this.group ? "; there is none of fewer than three contacts." : ". A key that is limited to groups sees it for one group at a time.";
      this.#say(`It begins when the service has run for a while${data.samples.length ? "." : why}`);
      return;
    }
    this.data = data;
    this.open = this.body.querySelector("details")?.open ?? this.open;
    const first = data.samples[0].at;
    const last = data.samples.at(-1).at;
    const span = last - first || 1;
    this.x = (at) => ((at - first) / span) * WIDE;
    const most = Math.max(...data.samples.map((each) => each.total), 1);
    const figure = make("figure", "trend");
    figure.append(this.#areas(data, most), make("div", "hours"));
    const lags = data.samples.some((each) => typeof each.lag === "number");
    if (lags) figure.append(this.#lag(data));
    figure.append(this.#legend(data), this.#reading(this.#latest(data)), this.#table(data));
    this.body.replaceChildren(figure);
    this.#labels();
    this.#pointAgain();
  }

  #areas({ runs, kinds, marks }, most) {
    const box = make("div", "areas");
    const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, box);
    const pattern = shape("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, shape("defs", {}, svg));
    shape("rect", { width: 6, height: 6, class: "between" }, pattern);
    shape("rect", { width: 2.5, height: 6, class: "stripe" }, pattern);
    const y = (number) => TALL - (number / most) * (TALL - 4);
    for (const run of runs) {
      const under = run.map(() => 0);
      for (const [key] of kinds) {
        const floor = [...under];
        run.forEach((sample, at) => {
          under[at] += sample[key];
        });
        if (under.every((each, at) => each === floor[at])) continue;
        const points = run.length > 1 ? run : [run[0], { ...run[0], at: run[0].at + 1 }];
        const top = points.map((sample, at) => `${this.x(sample.at).toFixed(1)},${y(under[Math.min(at, run.length - 1)]).toFixed(1)}`);
        const bottom = points.map((sample, at) => `${this.x(sample.at).toFixed(1)},${y(floor[Math.min(at, run.length - 1)]).toFixed(1)}`).reverse();
        shape("polygon", { points: [...top, ...bottom].join(" "), class: "area", "data-kind": key, ...HATCHED[key] }, svg);
      }
    }
    for (const mark of marks) {
      const at = this.x(mark.at);
      if (at < 0) continue;
      const [tone, words] = MARKS[mark.event];
      const x = Math.min(at, WIDE - 1).toFixed(1);
      const line = shape("line", { x1: x, x2: x, y1: 0, y2: TALL, class: `mark ${tone}` }, svg);
      shape("title", {}, line).textContent = `${words}, ${moment(mark.at, now())}`;
    }
    box.append(make("span", "most num", String(most)));
    const cursor = make("i", "cursor");
    cursor.hidden = true;
    box.append(cursor);
    box.addEventListener("pointermove", (event) => {
      this.pointed = { clientX: event.clientX, clientY: event.clientY };
      this.#point(this.pointed, box, cursor);
    });
    box.addEventListener("pointerleave", () => {
      this.pointed = null;
      cursor.hidden = true;
      this.body.querySelector(".reading").textContent = this.#latest(this.data);
    });
    return box;
  }

  #lag({ runs, samples }) {
    const box = make("div", "lag");
    const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${LAG_TALL}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, box);
    const longest = Math.max(...samples.map((each) => each.lag ?? 0));
    for (const run of runs) {
      for (const sample of run) {
        if (typeof sample.lag !== "number") continue;
        const x = this.x(sample.at).toFixed(1);
        const tall = Math.max(1, (sample.lag / longest) * (LAG_TALL - 2));
        shape("line", { x1: x, x2: x, y1: LAG_TALL, y2: (LAG_TALL - tall).toFixed(1), class: "lagged" }, svg);
      }
    }
    box.append(make("span", "num", `notification to answer: ${seconds(longest)} at most`));
    return box;
  }

  #legend({ kinds, samples }) {
    const list = make("ul", "legend");
    for (const [key, words] of kinds) {
      const item = make("li");
      const swatch = make("i", "swatch");
      swatch.dataset.kind = key;
      swatch.setAttribute("aria-hidden", "true");
      item.append(swatch, `${words} `, make("b", "num", String(samples.at(-1)[key])));
      list.append(item);
    }
    return list;
  }

  /** Of when the numbers of the legend are: those above the board are of now. */
  #latest({ samples, step }) {
    return `counted at ${hour(samples.at(-1).at, step)}`;
  }

  #reading(words) {
    const line = make("p", "reading num", words);
    line.setAttribute("aria-hidden", "true"); // the table says the same
    return line;
  }

  /** A new picture tells of the same place as the one before, where a pointer rests on it. */
  #pointAgain() {
    if (!this.pointed) return;
    const box = this.body.querySelector(".areas");
    const there = document.elementFromPoint(this.pointed.clientX, this.pointed.clientY);
    if (box.contains(there)) this.#point(this.pointed, box, box.querySelector(".cursor"));
    else this.pointed = null;
  }

  #point({ clientX }, box, cursor) {
    const edge = box.getBoundingClientRect();
    const wanted = ((clientX - edge.left) / edge.width) * WIDE;
    let nearest = this.data.samples[0];
    for (const sample of this.data.samples) if (Math.abs(this.x(sample.at) - wanted) < Math.abs(this.x(nearest.at) - wanted)) nearest = sample;
    cursor.hidden = false;
    cursor.style.setProperty("left", `${(this.x(nearest.at) / WIDE) * 100}%`);
    const near = this.data.marks.filter((mark) => Math.abs(mark.at - nearest.at) <= this.data.step).map((mark) => MARKS[mark.event][1]);
    const numbers = this.data.kinds.filter(([key]) => nearest[key]).map(([key, words]) => `${nearest[key]} ${words}`);
    this.body.querySelector(".reading").textContent = `${hour(nearest.at, this.data.step)}: ${[...numbers, ...new Set(near)].join(", ")}`;
  }

  #table(data) {
    const details = make("details");
    details.open = this.open;
    details.append(make("summary", "", "As a table"));
    const table = make("table");
    const who = this.group ? `Contacts of ${this.group}` : "Contacts";
    table.append(make("caption", "unseen", `${who} over the last hours, the latest first`));
    const head = make("tr");
    for (const words of ["Time", ...data.kinds.map(([, each]) => each), "Events"]) {
      const cell = make("th", "", words);
      cell.scope = "col";
      head.append(cell);
    }
    const top = make("thead");
    top.append(head);
    const body = make("tbody");
    const lines = rows(data);
    const apart = Math.min(...lines.slice(1).map((each, at) => lines[at].sample.at - each.sample.at));
    for (const { sample, events } of lines) {
      const line = make("tr");
      const time = make("th", "num", hour(sample.at, apart));
      time.scope = "row";
      line.append(time, ...data.kinds.map(([key]) => make("td", "num", String(sample[key]))));
      const names = new Map();
      for (const mark of events) names.set(mark.event, (names.get(mark.event) ?? 0) + 1);
      line.append(make("td", "", [...names].map(([name, number]) => (number > 1 ? `${MARKS[name][1]} (${counted(number, "time")})` : MARKS[name][1])).join(", ")));
      body.append(line);
    }
    table.append(top, body);
    const scroll = make("div", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "The last hours as a table");
    scroll.append(table);
    details.append(scroll);
    return details;
  }

  /** Times below the picture, as many as there is room for. */
  #labels() {
    const line = this.body.querySelector(".hours");
    if (!line || !this.data) return;
    const room = Math.max(2, Math.min(9, Math.floor(line.clientWidth / 76)));
    const first = this.data.samples[0].at;
    const span = this.data.samples.at(-1).at - first;
    const times = Array.from({ length: room }, (_, number) => hour(first + (span * number) / (room - 1), span / (room - 1)));
    line.replaceChildren(...times.map((time) => make("span", "num", time)));
  }
}
