// The board: groups of rows, kept in step with the model frame by frame and never for longer than a frame may take.
//
// Rows stand in chunks that the browser neither lays out nor paints while they are out of sight (content-visibility),
// and whose ages run only while they are in sight. So five thousand contacts cost what is on the screen.

import { NO_GROUP } from "./model.js";
import { Row } from "./row.js";
import { shortNames } from "./words.js";

const CHUNK = 48; // divides by 2, 3 and 4: columns of cards end evenly
const BUDGET = 6; // milliseconds of a frame
const HEADINGS = ["Contact", "State", "What", "Free", "For", "Freshness"];

function element(name, className, role) {
  const made = document.createElement(name);
  made.className = className;
  if (role) made.setAttribute("role", role);
  return made;
}

class Group {
  constructor(name, number) {
    this.name = name;
    this.rows = new Map();
    this.chunks = [];
    this.keys = [];
    this.el = element("section", "group");
    const head = element("header", "group-head");
    this.title = element("h2", "group-name");
    this.title.id = `group-${number}`;
    this.title.textContent = name === NO_GROUP ? "No group" : name;
    this.free = element("p", "group-free");
    this.floor = element("p", "group-floor");
    head.append(this.title, this.free, this.floor);
    this.table = element("div", "table", "table");
    this.table.setAttribute("aria-labelledby", this.title.id);
    const headings = element("div", "headings", "rowgroup");
    const line = element("div", "row heading", "row");
    for (const text of HEADINGS) {
      const cell = element("div", "", "columnheader");
      cell.textContent = text;
      line.append(cell);
    }
    headings.append(line);
    this.table.append(headings);
    this.el.append(head, this.table);
  }
}

class Chunk {
  constructor(observer) {
    this.el = element("div", "chunk", "rowgroup");
    this.keys = [];
    this.filled = false;
    this.visible = false;
    this.el.chunk = this;
    observer.observe(this.el);
  }
}

export class Board {
  constructor(root, model, filters) {
    Object.assign(this, { root, model, filters });
    this.groups = new Map();
    this.numbered = 0;
    this.pending = new Set(); // chunks whose rows are not what they should be
    this.observer = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          const { chunk } = entry.target;
          chunk.visible = entry.isIntersecting;
          if (chunk.visible) this.#tickChunk(chunk);
        }
      },
      { rootMargin: "200px" },
    );
    this.total = 0;
    this.shown = 0;
    this.names = null; // short ones, on the wall
    this.tight = new Map(); // names that are too long for a tile, and by how much
    this.namesakes = false;
  }

  /** Decide anew who is shown, where, in which order. */
  arrange() {
    const { model, filters } = this;
    const passes = filters.predicate();
    const wanted = filters.values.group;
    const lists = new Map([...model.members.keys()].map((name) => [name, []]));
    lists.set(NO_GROUP, []);
    const seen = new Set();
    for (const [key, contact] of model.contacts) {
      if (!passes(contact)) continue;
      for (const name of model.groupsOf(key)) {
        if (wanted && name !== wanted) continue;
        lists.get(name)?.push(key);
        seen.add(key);
      }
    }
    this.shown = seen.size;
    this.total = model.contacts.size;
    let before = null;
    for (const [name, keys] of lists) {
      let group = this.groups.get(name);
      if (!keys.length) {
        if (group) this.#drop(group);
        continue;
      }
      if (!group) {
        group = new Group(name, this.numbered++);
        this.groups.set(name, group);
      }
      const place = before ? before.nextSibling : this.root.firstChild;
      if (place !== group.el) this.root.insertBefore(group.el, place);
      before = group.el;
      this.#fit(group, filters.order(keys, model));
    }
    for (const [name, group] of this.groups) if (!lists.has(name)) this.#drop(group);
    if (model.namesakes.size || this.namesakes) this.#tellApart();
  }

  /** Namesakes show their address. */
  #tellApart() {
    const { namesakes } = this.model;
    this.namesakes = namesakes.size > 0;
    for (const group of this.groups.values()) {
      for (const [key, row] of group.rows) row.el.toggleAttribute("data-namesake", namesakes.has(key));
    }
  }

  #drop(group) {
    for (const chunk of group.chunks) this.#forget(chunk);
    group.el.remove();
    this.groups.delete(group.name);
  }

  #forget(chunk) {
    this.observer.unobserve(chunk.el);
    this.pending.delete(chunk);
    chunk.el.remove();
  }

  #fit(group, keys) {
    const wanted = new Set(keys);
    for (const key of group.rows.keys()) if (!wanted.has(key)) group.rows.delete(key);
    group.keys = keys;
    const number = Math.ceil(keys.length / CHUNK);
    while (group.chunks.length > number) this.#forget(group.chunks.pop());
    while (group.chunks.length < number) {
      const chunk = new Chunk(this.observer);
      chunk.group = group;
      group.chunks.push(chunk);
      group.table.append(chunk.el);
    }
    group.chunks.forEach((chunk, index) => {
      const slice = keys.slice(index * CHUNK, (index + 1) * CHUNK);
      if (chunk.filled && slice.length === chunk.keys.length && slice.every((key, at) => key === chunk.keys[at])) return;
      if (slice.length !== chunk.keys.length) chunk.el.style.setProperty("--rows", slice.length);
      chunk.keys = slice;
      this.pending.add(chunk);
    });
  }

  /** Work for one frame. Whether there is more to do. */
  work(until = performance.now() + BUDGET) {
    const { model } = this;
    for (const chunk of this.pending) {
      this.#fill(chunk);
      this.pending.delete(chunk);
      if (performance.now() > until) return true;
    }
    for (const key of model.dirty) {
      model.dirty.delete(key);
      const contact = model.contacts.get(key);
      if (contact) for (const name of model.groupsOf(key)) this.groups.get(name)?.rows.get(key)?.update(contact);
      if (performance.now() > until) return model.dirty.size > 0;
    }
    return false;
  }

  #fill(chunk) {
    const { rows } = chunk.group;
    let at = chunk.el.firstChild;
    for (const key of chunk.keys) {
      const contact = this.model.contacts.get(key);
      if (!contact) continue;
      let row = rows.get(key);
      if (!row) {
        rows.set(key, (row = new Row(contact, this.#nameFor(chunk.group, contact))));
        row.el.toggleAttribute("data-namesake", this.model.namesakes.has(key));
        row.squeeze(this.tight);
      } else if (row.contact !== contact) row.update(contact);
      if (row.el === at) at = at.nextSibling;
      else chunk.el.insertBefore(row.el, at);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
    if (!chunk.filled) {
      chunk.filled = true;
      chunk.el.dataset.filled = "";
    }
  }

  /** Free, of how many, and whether that is enough, for each group. */
  heads() {
    const { model } = this;
    for (const [name, group] of this.groups) {
      const members = name === NO_GROUP ? group.keys : model.members.get(name);
      const counts = model.count(members);
      const free = model.shared.has(name) ? (model.freeByRule.get(name) ?? counts.free) : counts.free;
      const coverage = name === NO_GROUP ? null : model.coverage(name, free);
      const text = `${free} free of ${counts.total}`;
      if (group.free.textContent !== text) {
        group.free.textContent = text;
        group.free.dataset.short = `${free} / ${counts.total}`; // what a tile has room for
      }
      const floor = !coverage ? "" : coverage.low ? `too few: at least ${coverage.floor}` : `at least ${coverage.floor}`;
      if (group.floor.textContent !== floor) group.floor.textContent = floor;
      group.el.toggleAttribute("data-low", Boolean(coverage?.low));
    }
  }

  /** Ages run on: of what is in sight. */
  tick() {
    for (const group of this.groups.values()) {
      for (const chunk of group.chunks) if (chunk.visible) this.#tickChunk(chunk);
    }
  }

  #tickChunk(chunk) {
    for (const key of chunk.keys) chunk.group.rows.get(key)?.tick();
  }

  /** Short names for tiles, or whole ones. */
  shorten(on) {
    if (!on && !this.names) return;
    this.names = on ? new Map() : null;
    for (const group of this.groups.values()) {
      // Of one group: namesakes in different groups are told apart by where they stand.
      if (on) this.names.set(group, shortNames(group.keys.map((key) => this.model.contacts.get(key)).filter(Boolean)));
      for (const row of group.rows.values()) row.shorten(this.#nameFor(group, row.contact));
    }
  }

  /** Smaller letters for these names, by how much. */
  squeeze(tight) {
    this.tight = tight;
    for (const group of this.groups.values()) for (const row of group.rows.values()) row.squeeze(tight);
  }

  #nameFor(group, contact) {
    return this.names?.get(group)?.get(contact.contact) ?? null;
  }
}
