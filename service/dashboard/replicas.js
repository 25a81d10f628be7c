// Of several replicas: which one this page is of, what it does, and how the others and their database are.

import { age, counted } from "./words.js";

const bare = (address) => address.replace(/^https?:\/\//, "");

/** In a word or two, beside the page's name; null where there is a single process. */
export function badge(cluster) {
  if (!cluster) return null;
  const role = cluster.silent ? "hears no owner" : cluster.role;
  return { text: `${bare(cluster.address)}, ${role}`, role };
}

/** The same while this replica does not answer: what it did before is no longer known. */
export function unreachedBadge(cluster) {
  return cluster ? { text: `${bare(cluster.address)}, no answer`, role: "unreached" } : null;
}

/** Where the answers come from, in a sentence. */
export function answersFrom(cluster) {
  const owner = cluster.owner && bare(cluster.owner);
  if (cluster.silent) return "This replica does not hear the owner of the sessions, so nothing that it shows is sure.";
  if (cluster.role === "owner") return "This replica owns the sessions at the presence server; the others mirror it.";
  if (cluster.role === "lapsed") return "This replica owned the sessions and cannot renew that: it answers as long as the presence server lets it.";
  const behind = cluster.lag === null ? "" : `, ${cluster.lag.toFixed(1)} s behind`;
  return owner ? `This replica answers from its mirror of ${owner}${behind}.` : "No replica owns the sessions now.";
}

/** Rows for the replicas and their database: {kind, name, state, words, error}. */
export function rows(cluster) {
  const mine = cluster.members.find((member) => member.replica === cluster.replica);
  const versions = new Set(cluster.members.map((member) => member.version));
  const found = cluster.members.map((member) => ({
    kind: "replica",
    name: bare(member.address),
    state: member.state,
    words: [
      member === mine ? "this one" : "",
      versions.size > 1 ? `version ${member.version}` : "",
      member.state === "silent" ? `for ${age(member.heard)}` : "",
      mine && member.state !== "silent" && member.configuration !== mine.configuration ? "another configuration" : "",
    ],
  }));
  const { engine } = cluster;
  const name = engine.name ? `${engine.name[0].toUpperCase()}${engine.name.slice(1)} ${engine.version}` : "Redis or Valkey";
  found.push({
    kind: "engine",
    name,
    state: engine.problem ? "fails" : engine.name ? "works" : "not asked yet",
    words: [
      cluster.waiting > 0 ? `${counted(cluster.waiting, "change")} not written yet` : "",
      engine.eviction && engine.eviction !== "noeviction" ? `drops data where memory is short (${engine.eviction})` : "",
      engine.persistent === false ? "keeps nothing on disk" : "",
    ],
    error: engine.problem,
  });
  return found;
}
