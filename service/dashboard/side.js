// Beside the board: how the service is doing, who is held by whom, and what happened.

import { now, since } from "./clock.js";
import { answersFrom, rows } from "./replicas.js";
import { age, counted, fullName, moment, plain, remaining } from "./words.js";

const MAX_EVENTS = 60;
const MAX_PROGRAMS = 12;

const bare = (node) => node.replace(/^https?:\/\//, "");

function make(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Times that run: updated in place each second. */
class Running {
  constructor() {
    this.all = [];
  }

  down(text) {
    const node = make("span", "num");
    this.all.push(() => {
      const rest = -since(text);
      node.textContent = rest > 0 ? remaining(rest) : "over";
    });
    this.all.at(-1)();
    return node;
  }

  up(text) {
    const node = make("span", "num");
    this.all.push(() => {
      node.textContent = `${age(since(text))} ago`;
    });
    this.all.at(-1)();
    return node;
  }

  tick() {
    for (const each of this.all) each();
  }
}

export class Health {
  constructor(root) {
    this.root = root;
    this.running = new Running();
  }

  tick() {
    this.running.tick();
  }

  show(status) {
    const running = (this.running = new Running());
    const found = [];
    const state = make("p", "overall");
    state.dataset.state = status.state;
    const dot = make("i", "dot");
    dot.setAttribute("aria-hidden", "true");
    state.append(dot, make("strong", "", status.state));
    if (status.store?.contacts) state.append(make("span", "muted", ` ${status.store.read} of ${status.store.contacts} contacts read`));
    found.push(state);
    if (status.cluster) found.push(make("p", "mirror", answersFrom(status.cluster)));
    if (status.problems.length) {
      const list = make("ul", "problems");
      for (const problem of status.problems) {
        const item = make("li", "", problem.what);
        item.append(" ", make("small", "muted", `since ${moment(Date.parse(problem.since), now())}`));
        list.append(item);
      }
      found.push(list);
    }
    const facts = make("dl", "facts");
    const fact = (kind, name, state, ...rest) => {
      const term = make("dt", "", kind);
      const said = make("dd");
      const word = make("span", "word", state);
      word.dataset.state = state;
      said.append(make("b", "", name), " ", word);
      for (const each of rest.flat()) if (each) said.append(" ", each);
      facts.append(term, said);
    };
    const error = (each) => (each.last_error ? make("small", "error", each.last_error) : null);
    const labelled = (label, node) => {
      const made = make("span", "time");
      made.append(`${label} `, node);
      return made;
    };
    for (const each of status.cluster ? rows(status.cluster) : []) {
      const words = each.words.filter(Boolean).map((text) => make("span", "", text));
      fact(each.kind, each.name, each.state, words, error({ last_error: each.error }));
    }
    for (const each of status.nodes) {
      const count = each.failures ? make("small", "muted", `${counted(each.failures, "failure")} in a row`) : null;
      fact("node", bare(each.node), each.state, count, each.state === "down" ? error(each) : null);
    }
    for (const each of status.sessions) {
      fact("session", each.user || "application", each.state, error(each));
    }
    for (const each of status.endpoints) {
      fact("endpoint", each.id === null ? "–" : String(each.id), each.state, each.expires_at ? labelled("expires in", running.down(each.expires_at)) : null, error(each));
    }
    for (const each of status.subscriptions) {
      fact("subscription", `${each.id ?? "–"} of ${each.end_user}`, each.state, [
        make("span", "", counted(each.contacts, "contact")),
        each.expires_at ? labelled("expires in", running.down(each.expires_at)) : null,
        each.last_notification_at ? labelled("notified", running.up(each.last_notification_at)) : null,
        each.last_fetch_at ? labelled("fetched", running.up(each.last_fetch_at)) : null,
        error(each),
      ]);
    }
    for (const each of status.webhooks) {
      const answer = each.last_status === null || each.last_error ? null : make("span", "", `answered ${each.last_status}`);
      fact("webhook", each.name, each.state, [
        each.state === "delivering" && !each.queued ? null : make("span", "", `${each.queued} queued`),
        answer,
        each.last_attempt_at ? labelled("sent", running.up(each.last_attempt_at)) : null,
        error(each),
      ]);
    }
    if (status.facade) this.facade(status.facade, fact, error);
    if (facts.children.length) found.push(facts);
    if (status.subscriptions.length) {
      const { reading, notifications } = status;
      const missed = reading.missed_notifications ? `, ${counted(reading.missed_notifications, "change")} unannounced` : "";
      const failed = reading.failures ? `, ${counted(reading.failures, "failure")}` : "";
      found.push(make("p", "muted tally", `${counted(notifications.received, "notification")}, ${reading.fetches} ${reading.fetches === 1 ? "fetch" : "fetches"}, ${counted(reading.polls, "poll")}${failed}${missed}`));
    }
    this.root.replaceChildren(...found);
  }

  /** The programs at the façade, those in trouble first. */
  facade(facade, fact, error) {
    const text = (words) => make("span", "", words);
    const at = (label, when) => {
      const made = text(`${label} `); // on phones too, where times of class "time" are left out
      made.append(this.running.up(when));
      return made;
    };
    fact("façade", bare(facade.address), facade.silent ? "a program is silent" : "answers", [
      text(counted(facade.programs_in_all, "program")),
      text(counted(facade.sessions, "session")),
      text(counted(facade.subscriptions, "subscription")),
      facade.withheld ? text(`${counted(facade.withheld, "contact")} not told, since not live`) : null,
    ]);
    for (const each of facade.programs.slice(0, MAX_PROGRAMS)) {
      const failing = each.subscriptions.find((subscription) => subscription.failing_since);
      const silent = each.subscriptions.find((subscription) => subscription.silent);
      const state = silent ? "silent" : failing ? "not reached" : each.subscriptions_in_all ? "subscribed" : "logged in";
      fact("program", each.end_user ? `${each.user} as ${each.end_user}` : each.user, state, [
        each.address ? text(`at ${each.address}`) : null,
        each.subscriptions_in_all ? text(`${counted(each.subscriptions_in_all, "subscription")}, ${counted(each.contacts, "contact")}`) : null,
        silent?.notified_at ? at("notified", silent.notified_at) : null,
        each.last_fetch_at ? at("last fetch", each.last_fetch_at) : each.subscriptions_in_all ? text("never fetched") : null,
        each.failed ? text(`${each.failed} of ${counted(each.notifications, "notification")} failed`) : null,
        failing ? error(failing) : null,
      ]);
    }
    const more = facade.programs_in_all - Math.min(facade.programs.length, MAX_PROGRAMS);
    if (more > 0) fact("", `and ${counted(more, "more program")}`, "");
  }
}

export class Claims {
  constructor(root) {
    this.root = root;
    this.running = new Running();
    this.shown = null;
  }

  tick() {
    this.running.tick();
  }

  /** The claims as the contacts tell of them. */
  show(contacts) {
    const claims = new Map();
    for (const contact of contacts) {
      if (!contact.claim) continue;
      const known = claims.get(contact.claim.id);
      if (known) known.who.push(contact);
      else claims.set(contact.claim.id, { ...contact.claim, who: [contact] });
    }
    const all = [...claims.values()].sort((one, other) => (one.expires_at < other.expires_at ? -1 : 1));
    const text = JSON.stringify(all.map((each) => [each.id, each.expires_at, each.who.map((who) => [who.contact, who.freshness])]));
    if (text === this.shown) return;
    this.shown = text;
    const running = (this.running = new Running());
    const items = all.slice(0, 50).map((claim) => {
      const item = make("li");
      const who = claim.who.map(fullName).join(", ");
      item.append(make("b", "", who), " ", make("span", "for", plain(claim.for) && `for ${plain(claim.for)}`));
      const line = make("small", "muted", [claim.group, claim.holder && `held by ${claim.holder}`].filter(Boolean).map((each) => `${each}, `).join(""));
      line.append(running.down(claim.expires_at), " left");
      item.append(line);
      return item;
    });
    if (all.length > 50) items.push(make("li", "muted", `and ${all.length - 50} more`));
    this.root.replaceChildren(...(items.length ? items : [make("li", "muted", "Nobody is held.")]));
  }
}

const NAMES = {
  "subscription.lost": ["bad", "Subscription lost"],
  "subscription.renewed": ["", "Subscription renewed"],
  "subscription.recreated": ["good", "Subscription made anew"],
  "subscription.failed-over": ["bad", "Gone to another node"],
  "subscription.missed": ["bad", "Notifications missed"],
  "claim.made": ["", "Claimed"],
  "claim.renewed": ["", "Claim renewed"],
  "claim.released": ["", "Claim released"],
  "claim.expired": ["", "Claim expired"],
  "claim.unavailable": ["bad", "Claimed, and no longer available"],
  "coverage.low": ["bad", "Too few are free"],
  "coverage.restored": ["good", "Enough are free again"],
  "webhook.parked": ["bad", "Webhook parked, nothing is sent to it"],
  "webhook.recovered": ["good", "Webhook delivers again"],
};

export class Events {
  constructor(root) {
    this.root = root;
    this.root.append(make("li", "muted none", "Nothing yet."));
  }

  /** Something the stream told of. */
  told(name, data) {
    const [tone, title] = NAMES[name] ?? ["", name];
    const claimed = (data.claim?.contacts ?? []).map(fullName).join(", ");
    const details = [
      data.group ? `${data.group}: ${data.free} free, at least ${data.min_free} wanted` : "",
      data.contact ?? claimed,
      data.target ?? "",
      plain(data.claim?.for) && `for ${plain(data.claim.for)}`,
      data.claim?.holder ? `by ${data.claim.holder}` : "",
      data.end_user ? `of ${data.end_user}` : "",
      data.node ? `at ${bare(data.node)}` : "",
      data.reason ?? "",
    ];
    this.add(tone, title, details.filter(Boolean).join(", "), Date.parse(data.at));
  }

  add(tone, title, detail, at = now()) {
    this.root.querySelector(".none")?.remove();
    const item = make("li");
    if (tone) item.dataset.tone = tone;
    const time = make("time", "num", moment(at, now()));
    const words = make("span");
    words.append(make("b", "", title), detail ? ` ${detail}` : "");
    item.append(time, words);
    this.root.prepend(item);
    while (this.root.children.length > MAX_EVENTS) this.root.lastChild.remove();
  }
}
