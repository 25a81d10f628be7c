// One contact on the board: made once, then only what differs is touched. Names and notes are strangers' words and
// are only ever set as text.

import { now, since } from "./clock.js";
import { age, doing, fullName, hindrance, moment, plain, remaining, shape, stateWord } from "./words.js";

const TEMPLATE = make();

function element(name, className, role) {
  const made = document.createElement(name);
  made.className = className;
  if (role) made.setAttribute("role", role);
  return made;
}

function make() {
  const row = element("div", "row", "row");
  const who = element("div", "who", "rowheader");
  who.append(element("i", "mark"), element("b", "name"), element("small", "uri"));
  const state = element("div", "state", "cell");
  const what = element("div", "what", "cell");
  what.append(element("span", "doing"), element("q", "note"), element("span", "claim"));
  const free = element("div", "free", "cell");
  const when = element("div", "when", "cell");
  const fresh = element("div", "fresh", "cell");
  fresh.append(element("span", "level"), element("span", "unsure"));
  fresh.lastChild.textContent = "not sure";
  who.firstChild.setAttribute("aria-hidden", "true");
  row.append(who, state, what, free, when, fresh);
  return row;
}

export class Row {
  constructor(contact, short = null) {
    this.el = TEMPLATE.cloneNode(true);
    const [who, state, what, free, when, fresh] = this.el.children;
    [this.mark, this.name, this.uri] = who.children;
    [this.doing, this.note, this.claim] = what.children;
    Object.assign(this, { state, free, when, level: fresh.firstChild });
    this.shown = {};
    this.short = short;
    this.update(contact);
  }

  #text(node, name, text) {
    if (this.shown[name] === text) return false;
    this.shown[name] = text;
    node.textContent = text;
    return true;
  }

  #data(name, value) {
    if (this.shown[`data-${name}`] === value) return;
    this.shown[`data-${name}`] = value;
    if (value === "") delete this.el.dataset[name];
    else this.el.dataset[name] = value;
  }

  /** Show the contact as it is now. */
  update(contact) {
    this.contact = contact;
    const name = fullName(contact);
    this.#text(this.name, "name", this.short ?? name);
    if (this.#text(this.uri, "uri", contact.contact)) this.el.title = contact.contact;
    this.#data("shape", shape(contact));
    this.#data("state", contact.state ?? "");
    this.#data("fresh", contact.freshness);
    this.#data("free", contact.available ? "yes" : "");
    this.#data("claimed", contact.claim ? "yes" : "");
    this.#text(this.state, "state", contact.state === undefined ? (contact.available ? "Available" : "Not available") : stateWord(contact.state));
    this.#text(this.doing, "doing", doing(contact) || hindrance(contact));
    this.#data("hindered", !doing(contact) && hindrance(contact) ? "yes" : "");
    const note = plain(contact.note);
    if (this.#text(this.note, "note", note.toLowerCase() === doing(contact).toLowerCase() ? "" : note)) this.note.title = note;
    this.#text(this.free, "free", contact.available ? "Free" : contact.claim ? "Held" : "");
    this.tick();
  }

  /** Show what runs with time alone. */
  tick() {
    const { contact } = this;
    this.#text(this.when, "when", contact.changed_at ? age(since(contact.changed_at)) : "");
    const at = contact.as_of ? moment(Date.parse(contact.as_of), now()) : "";
    const level = contact.freshness === "live" ? "live" : contact.freshness === "stale" ? `stale, as of ${at}` : "never read";
    this.#text(this.level, "level", level);
    const { claim } = contact;
    let held = "";
    if (claim) {
      const rest = -since(claim.expires_at);
      const what = plain(claim.for) || claim.group;
      held = [rest > 0 ? remaining(rest) : "ending", what, claim.holder].filter(Boolean).join(" · ");
      this.claim.title = `Held${claim.holder && ` by ${claim.holder}`}${what && ` for ${what}`} until ${moment(Date.parse(claim.expires_at), now())}`;
    }
    this.#text(this.claim, "claim", held);
  }

  /** Smaller letters where the name is one of those that are too long for a tile. */
  squeeze(tight) {
    const part = (this.short !== null && tight.get(this.short)) || 1;
    if (part === (this.part ?? 1)) return;
    this.part = part;
    this.name.style.setProperty("--squeeze", part.toFixed(2));
  }

  /** A name that fits into a tile; null: the whole one. */
  shorten(name) {
    this.short = name;
    this.#text(this.name, "name", name ?? fullName(this.contact));
  }
}
