// What the viewer wants to see. It lives in the URL, under the names that the API uses, so that it can be shared.

import { STATES, fullName } from "./words.js";

const FRESHNESS = ["live", "stale", "unknown"];
const SORTS = ["state", "-changed_at", "changed_at"];
const VIEWS = ["table", "cards", "wall"];
const WEIGHT = new Map(STATES.map((state, number) => [state, number]));

const empty = () => ({ q: "", states: [], phone: false, group: "", available: null, freshness: [], sort: "", view: "auto" });

export class Filters {
  constructor(changed) {
    this.changed = changed;
    this.values = this.#read();
    addEventListener("popstate", () => {
      this.values = this.#read();
      changed();
    });
  }

  #read() {
    const query = new URLSearchParams(location.search);
    const values = empty();
    values.q = (query.get("q") ?? "").slice(0, 200);
    const all = (name) => query.getAll(name).map((value) => value.trim());
    values.states = STATES.filter((state) => all("state").some((value) => value.toUpperCase() === state)); // in any case, as in the API
    values.phone = all("activity").some((value) => value.toLowerCase() === "on-the-phone");
    values.group = query.get("group") ?? "";
    values.available = { true: true, false: false }[query.get("available")] ?? null;
    values.freshness = query.getAll("freshness").filter((level) => FRESHNESS.includes(level));
    values.sort = SORTS.includes(query.get("sort")) ? query.get("sort") : "";
    values.view = VIEWS.includes(query.get("view")) ? query.get("view") : "auto";
    return values;
  }

  /** Choose. `typing`: letter by letter, which makes no step to go back to. */
  set(values, { typing = false } = {}) {
    Object.assign(this.values, values);
    const url = this.url();
    if (url !== location.pathname + location.search) {
      if (typing) history.replaceState(null, "", url);
      else history.pushState(null, "", url);
    }
    this.changed();
  }

  clear() {
    this.set({ ...empty(), sort: this.values.sort, view: this.values.view });
  }

  url() {
    const { q, states, phone, group, available, freshness, sort, view } = this.values;
    const query = new URLSearchParams();
    if (q) query.set("q", q);
    for (const state of states) query.append("state", state);
    if (phone) query.set("activity", "on-the-phone");
    if (group) query.set("group", group);
    if (available !== null) query.set("available", String(available));
    for (const level of freshness) query.append("freshness", level);
    if (sort) query.set("sort", sort);
    if (view !== "auto") query.set("view", view);
    const text = query.toString();
    return location.pathname + (text ? `?${text}` : "");
  }

  get narrowed() {
    const { q, states, phone, group, available, freshness } = this.values;
    return Boolean(q || states.length || phone || group || available !== null || freshness.length);
  }

  /** A predicate of contacts, all but the group. */
  predicate() {
    const { q, states, phone, available, freshness } = this.values;
    const text = q.trim().toLowerCase();
    return (contact) =>
      (available === null || contact.available === available) &&
      (!states.length || states.includes(contact.state)) &&
      (!phone || contact.on_the_phone === true) &&
      (!freshness.length || freshness.includes(contact.freshness)) &&
      (!text ||
        contact.contact.toLowerCase().includes(text) ||
        fullName(contact).toLowerCase().includes(text) ||
        (contact.note ?? "").toLowerCase().includes(text));
  }

  /** Orders the keys of contacts in place. */
  order(keys, model) {
    const ranks = model.ranks();
    const byName = (one, other) => ranks.get(one) - ranks.get(other);
    const of = (key) => model.contacts.get(key);
    if (this.values.sort === "state") {
      const weight = (contact) => (contact.available ? -1 : (WEIGHT.get(contact.state) ?? 9)) + (contact.freshness === "live" ? 0 : 20);
      const weights = new Map(keys.map((key) => [key, weight(of(key))]));
      return keys.sort((one, other) => weights.get(one) - weights.get(other) || byName(one, other));
    }
    if (this.values.sort.endsWith("changed_at")) {
      const sign = this.values.sort.startsWith("-") ? -1 : 1;
      const text = (key) => of(key).changed_at ?? "";
      return keys.sort((one, other) => {
        const [a, b] = [text(one), text(other)];
        if (a === b) return byName(one, other);
        if (!a || !b) return a ? -1 : 1;
        return a < b ? -sign : sign;
      });
    }
    return keys.sort(byName);
  }
}
