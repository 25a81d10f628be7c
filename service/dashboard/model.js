// What the page knows: contacts, their groups and the counts. It draws nothing; what draws asks for what is dirty.

import { ask } from "./api.js";
import { fullName } from "./words.js";

export const NO_GROUP = "";
const PAGE = 1000;

export const keyOf = (contact) => contact.toLowerCase();

export class Model {
  constructor() {
    this.contacts = new Map();
    this.members = new Map(); // group -> Set of keys
    this.floors = new Map(); // group -> the least number of free people that it should have
    this.dirty = new Set();
    this.structure = true;
    this.known = false;
    this.brief = false;
    this.rank = new Map();
    this.namesakes = new Set(); // whose name somebody else has too
    this.groupOf = new Map();
    this.shared = new Set(); // groups that share somebody with another: their own rule may say otherwise
    this.freeByRule = new Map();
  }

  /** Everything anew. */
  snapshot(contacts) {
    const before = this.contacts;
    this.contacts = new Map();
    this.floors.clear(); // of an earlier run, perhaps
    for (const contact of contacts) {
      const key = keyOf(contact.contact);
      this.contacts.set(key, contact);
      if (before.has(key)) this.dirty.add(key);
    }
    this.brief = contacts.length > 0 && contacts[0].state === undefined;
    this.known = true;
    this.#ranked();
    this.structure = true;
  }

  /** One contact as it is now; what was known before, undefined where it is a new one. */
  change(contact) {
    const key = keyOf(contact.contact);
    const before = this.contacts.get(key);
    this.contacts.set(key, contact);
    this.brief = contact.state === undefined;
    this.dirty.add(key);
    if (!before || before.display_name !== contact.display_name) {
      this.rank = null;
      this.structure = true;
    }
    return before;
  }

  removed(contact) {
    if (this.contacts.delete(keyOf(contact))) this.structure = true;
  }

  /** Numbers by which names sort: comparing names is dear, and they hardly ever change. */
  ranks() {
    if (this.rank === null) this.#ranked();
    return this.rank;
  }

  #ranked() {
    const collator = new Intl.Collator(undefined, { sensitivity: "base", numeric: true });
    const named = [...this.contacts].map(([key, contact]) => [fullName(contact), key]);
    named.sort((one, other) => collator.compare(one[0], other[0]) || (one[1] < other[1] ? -1 : 1));
    this.rank = new Map(named.map(([, key], number) => [key, number]));
    this.namesakes = new Set();
    named.forEach(([name, key], at) => {
      if (at > 0 && named[at - 1][0] === name) this.namesakes.add(named[at - 1][1]).add(key);
    });
  }

  /** Who is in which group: the contacts of each, asked for once. */
  async loadGroups() {
    const summary = await ask("/v1/summary");
    const members = new Map();
    this.#summarised(summary);
    for (const name of Object.keys(summary.groups ?? {}).sort()) {
      const found = new Set();
      const query = new URLSearchParams({ group: name, limit: String(PAGE), fields: "contact" });
      for (;;) {
        const page = await ask(`/v1/presence?${query}`);
        for (const each of page.contacts) found.add(keyOf(each.contact));
        if (!page.next_cursor) break;
        query.set("cursor", page.next_cursor);
      }
      members.set(name, found);
    }
    this.members = members;
    this.groupOf = new Map();
    this.shared = new Set();
    for (const [name, found] of members) {
      for (const key of found) {
        const others = this.groupOf.get(key);
        if (others) {
          for (const other of [...others, name]) this.shared.add(other);
          others.push(name);
        } else this.groupOf.set(key, [name]);
      }
    }
    this.structure = true;
  }

  /** Groups that share people: how many are free by each group's own rule only the service can tell. */
  async loadFree() {
    this.#summarised(await ask("/v1/summary"));
  }

  #summarised(summary) {
    for (const [name, counts] of Object.entries(summary.groups ?? {})) {
      this.freeByRule.set(name, counts.available);
      if (counts.min_free) this.floors.set(name, counts.min_free);
    }
  }

  groupsOf(key) {
    return this.groupOf.get(key) ?? [NO_GROUP];
  }

  /** How many are free, in each state and so on, of these contacts. */
  count(keys) {
    const counts = { total: 0, free: 0, phone: 0, claimed: 0, live: 0, stale: 0, unknown: 0, states: new Map() };
    for (const key of keys) {
      const contact = this.contacts.get(key);
      if (!contact) continue;
      counts.total += 1;
      counts[contact.freshness] += 1;
      if (contact.available) counts.free += 1;
      if (contact.on_the_phone) counts.phone += 1;
      if (contact.claim) counts.claimed += 1;
      if (contact.state !== undefined) counts.states.set(contact.state, (counts.states.get(contact.state) ?? 0) + 1);
    }
    return counts;
  }

  /** The floor of a group and whether it has fewer; null where it has none. */
  coverage(group, free) {
    const floor = this.floors.get(group);
    return floor ? { floor, low: free < floor } : null;
  }
}
