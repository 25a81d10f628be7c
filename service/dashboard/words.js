// What things are called: states, activities, ages, names that have to be short.

export const STATES = ["AVAILABLE", "BUSY", "DND", "AWAY", "UNAVAILABLE", "VACATION", "UNKNOWN"];

const STATE_WORDS = {
  AVAILABLE: "Available",
  BUSY: "Busy",
  DND: "Do not disturb",
  AWAY: "Away",
  UNAVAILABLE: "Unavailable",
  VACATION: "Vacation",
  UNKNOWN: "Unknown",
};
const ACTIVITY_WORDS = { "on-the-phone": "on the phone", alerting: "ringing", meeting: "in a meeting", "in-transit": "on the way" };
const SAID_BY_STATE = new Set(["busy", "away", "vacation", "dnd", "available", "unavailable", "unknown", "other"]);

export const stateWord = (state) => STATE_WORDS[state] ?? String(state);

/** What somebody does, in words: activities that the state does not say already. */
export function doing(contact) {
  const found = [];
  if (contact.on_the_phone) found.push("on the phone");
  for (const activity of contact.activities ?? []) {
    const word = ACTIVITY_WORDS[activity] ?? activity.replaceAll("-", " ");
    if (!SAID_BY_STATE.has(activity) && !found.includes(word)) found.push(word);
  }
  if (contact.idle && contact.state !== "UNAVAILABLE") found.push("idle");
  const text = found.join(", ");
  return text && text[0].toUpperCase() + text.slice(1);
}

/** The shape that stands for a contact: its state's, or a handset. */
export function shape(contact) {
  if (contact.state === undefined) return contact.freshness === "unknown" ? "UNKNOWN" : contact.available ? "AVAILABLE" : "NOT";
  if (contact.on_the_phone && (contact.state === "BUSY" || contact.state === "AVAILABLE")) return "PHONE";
  return contact.state;
}

/** Strangers' words without what cannot be seen and turns round or hides what stands beside it. */
export const plain = (text) => (text ?? "").replaceAll(/[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, "").trim();

export const fullName = (contact) => plain(contact.display_name) || contact.contact;

/** `1 call`, `2 calls`. */
export const counted = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;

/** Why somebody whose state is AVAILABLE is not free; empty where state and activity say it already. */
export function hindrance(contact) {
  if (contact.available || contact.state !== "AVAILABLE" || contact.freshness !== "live" || contact.claim) return "";
  return contact.reason ?? "";
}

const two = (number) => String(number).padStart(2, "0");

/** Seconds as an age that fits into seven characters. */
export function age(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))}`;
  return `${Math.floor(s / 86400)} d`;
}

/** Seconds that remain, as a clock that runs down. */
export function remaining(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s >= 3600) return `${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
  return `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** A moment as the viewer's clock has it; with the day where that is another one. */
export function moment(millis, now) {
  const at = new Date(millis);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const today = new Date(now);
  if (at.toDateString() === today.toDateString()) return clock;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`;
}

const parts = (contact) => {
  const name = plain(contact.display_name);
  if (!name) return [contact.contact.split("@")[0], ""];
  const bare = name.replace(/\s*[([].*$/, "") || name;
  const comma = bare.indexOf(",");
  const words = (comma > 0 ? `${bare.slice(comma + 1)} ${bare.slice(0, comma)}` : bare).trim().split(/\s+/);
  return [words[0], words.length > 1 ? words[words.length - 1] : ""];
};

/** Names for tiles: the first name and as much of the last as tells people of the same first name apart. */
export function shortNames(contacts) {
  const split = contacts.map((contact) => [contact, ...parts(contact)]);
  const found = new Map();
  const taken = new Map();
  const candidate = ([, first, last], letters) => (last ? `${first} ${[...last].slice(0, letters).join("")}` : first);
  for (const letters of [1, 2, 3]) {
    taken.clear();
    for (const each of split) {
      if (found.has(each[0].contact)) continue;
      const name = candidate(each, letters);
      taken.set(name, (taken.get(name) ?? 0) + 1);
    }
    for (const each of split) {
      if (found.has(each[0].contact)) continue;
      const name = candidate(each, letters);
      if (taken.get(name) === 1) found.set(each[0].contact, name);
    }
  }
  for (const each of split) if (!found.has(each[0].contact)) found.set(each[0].contact, candidate(each, 1)); // namesakes
  return found;
}
