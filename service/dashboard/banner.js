// What cannot be missed: that the page is not connected, or that not everything is live, and why.
//
// Seconds run in what is seen; what is spoken changes only when something else does.

import { now } from "./clock.js";
import { age, moment } from "./words.js";

export const SURE = 12000; // milliseconds without a sign of life after which nothing is certain any more
export const GRACE = 1500; // a connection that comes back at once is no news

/** Whether what is shown can be relied on. */
export function sure(link, status) {
  const still = performance.now();
  if (link.state !== "open" && (hasNoOwner(link) || status?.cluster?.silent)) return false; // it has said so itself
  if (link.state === "open") return still - link.alive < SURE;
  return link.state !== "refused" && still - link.since < GRACE && still - link.alive < SURE;
}

/** The banners of this moment: {kind, title, text, running}. `running` is what changes each second. */
export function banners({ link, status, counts, known, version }) {
  const found = [];
  if (link.state === "refused" && link.problem?.status !== 401) {
    found.push({ kind: "down", title: "Not allowed", text: link.problem.message, running: "" });
  } else if (!sure(link, status) && (known || link.tries > 1)) {
    const quiet = (performance.now() - link.alive) / 1000;
    const why = link.problem ? ` The service says: ${link.problem.message}.` : "";
    const nobody = hasNoOwner(link);
    const next = status?.cluster?.engine.problem ? ` ${sentence(status.cluster.engine.problem)}` : TAKES_OVER;
    const shown = known ? `What you see is as of ${moment(link.at - Date.now() + now(), now())} and may no longer be true.` : "";
    found.push({
      kind: "lost",
      title: nobody ? NOBODY : "Not connected to the service",
      running: known ? `(for ${age(quiet)})` : "",
      text: (nobody ? `${shown}${next}` : `${shown}${why} It is tried again by itself.`).trim(),
    });
  }
  if (status && sure(link, status)) {
    const unsure = counts.stale + counts.unknown;
    const troubled = status.state !== "live" || counts.stale > 0;
    if (troubled && (unsure > 0 || status.problems.length > 0 || status.state !== "live")) {
      const [first, ...rest] = status.problems;
      const since = first ? Date.parse(first.since) : NaN;
      found.push({
        kind: status.state === "down" || unsure === counts.total ? "down" : "degraded",
        title: title(status, counts, unsure),
        text: first ? `${sentence(first.what)}${takesOver(status)}${rest.length ? ` (${rest.length} more under Health)` : ""}` : reason(status),
        running: Number.isFinite(since) ? `(for ${age((now() - since) / 1000)})` : "",
      });
    }
  }
  if (version) found.push({ kind: "note", title: "The service has been updated.", text: "Reload the page.", running: "" });
  return found;
}

function title(status, counts, unsure) {
  if (status.state === "starting") return "The service is starting: nobody is live yet";
  if (status.state === "stopping") return "The service is stopping";
  if (!unsure) return status.cluster?.silent ? NOBODY : "Something needs attention";
  if (unsure === counts.total) return counts.total === 1 ? "The only contact is not live" : `None of ${counts.total} contacts is live`;
  return `${unsure} of ${counts.total} contacts ${unsure === 1 ? "is" : "are"} not live`;
}

function reason(status) {
  if (status.state === "starting") return "It logs in, subscribes and reads everybody.";
  return "Stale contacts show their last known state and since when it is not certain.";
}

const NOBODY = "This replica hears no owner of the sessions just now";
const TAKES_OVER = " Another one takes over by itself, usually within seconds.";

/** Whether a replica answers, and has no owner to hear. */
export const hasNoOwner = (link) => Boolean(link.problem?.type.endsWith("/no-owner"));

/** Of several replicas: what happens by itself where the owner is not heard. */
function takesOver({ cluster }) {
  return cluster?.silent && !cluster.engine.problem ? TAKES_OVER : "";
}

function sentence(text) {
  const bare = text.replaceAll(/https?:\/\//g, "");
  // An address stays as it is written.
  const begun = /^[a-z]+ /.test(bare) ? bare[0].toUpperCase() + bare.slice(1) : bare;
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

export class BannerView {
  constructor(root, spoken) {
    Object.assign(this, { root, spoken });
    this.parts = [];
  }

  show(wanted) {
    while (this.parts.length > wanted.length) this.parts.pop().el.remove();
    while (this.parts.length < wanted.length) this.parts.push(this.#part());
    wanted.forEach((each, index) => {
      const part = this.parts[index];
      set(part.title, each.title);
      set(part.running, each.running);
      set(part.text, each.text);
      if (part.el.dataset.kind !== each.kind) part.el.dataset.kind = each.kind;
    });
    // Numbers that run are no news.
    const news = wanted.map((each) => `${each.kind} ${each.title}`).join().replaceAll(/\d+/g, "");
    if (news !== this.news) {
      this.news = news;
      set(this.spoken, wanted.map((each) => `${each.title}. ${each.text}`).join(" ") || (this.begun ? "All is well again." : ""));
      this.begun = true;
    }
  }

  #part() {
    const el = document.createElement("div");
    el.className = "banner";
    const icon = document.createElement("i");
    icon.className = "sign";
    icon.setAttribute("aria-hidden", "true");
    const words = document.createElement("p");
    const title = document.createElement("strong");
    const running = document.createElement("span");
    running.className = "running";
    const text = document.createElement("span");
    text.className = "why";
    words.append(title, " ", running, " ", text);
    el.append(icon, words);
    this.root.append(el);
    return { el, title, running, text };
  }
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
