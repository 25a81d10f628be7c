// The page: the stream feeds the model, frames draw it, a second hand moves what runs with time.

import { ask, key, Problem } from "./api.js";
import { banners, BannerView, GRACE, hasNoOwner, SURE, sure } from "./banner.js";
import { Board } from "./board.js";
import { now, setServiceTime } from "./clock.js";
import { Controls } from "./controls.js";
import { Demo } from "./demo.js";
import { Filters } from "./filters.js";
import { Model, NO_GROUP } from "./model.js";
import { badge, unreachedBadge } from "./replicas.js";
import { Claims, Events, Health } from "./side.js";
import { Stream } from "./sse.js";
import { Trends } from "./trends.js";
import { moment } from "./words.js";

const STATUS_EVERY = 5000;
const STATUS_IN_TROUBLE = 1500;
const $ = (id) => document.getElementById(id);

const model = new Model();
const link = { state: "connecting", since: performance.now(), alive: performance.now(), at: Date.now(), problem: null, tries: 0 };
const filters = new Filters(() => wanted());
const board = new Board($("board"), model, filters);
const controls = new Controls(filters, model, board);
const bannerView = new BannerView($("banners"), $("spoken"));
const health = new Health($("health-body"));
const claims = new Claims($("claims-body"));
const events = new Events($("events-body"));
const demo = new Demo(model);
const trends = new Trends($("trends"));
let status = null;
let version = null;
let updated = false;
let indexWanted = false;
let drawing = false;
let groupsWanted = false;

// --- drawing

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(frame);
}

function frame() {
  drawing = false;
  let arranged = false;
  if (model.structure || (model.dirty.size && controls.movesRows() && due())) {
    model.structure = false;
    board.arrange();
    demo.people();
    arranged = true;
  }
  const more = board.work();
  if (arranged || !more) {
    controls.show(counted());
    board.heads();
    claims.show(model.contacts.values());
    $("claims").hidden = model.brief;
    const { group } = filters.values;
    if (!group || model.members.has(group)) trends.of(group ?? ""); // of a group that there is
    controls.fitWall(arranged);
    told();
  }
  if (more || model.structure) draw();
}

let arrangedAt = 0;

/** Whether it is time to look again who passes the filter: not at each change of many. */
function due() {
  const still = performance.now();
  if (still - arrangedAt < 250) {
    setTimeout(draw, 260);
    return false;
  }
  arrangedAt = still;
  return true;
}

function wanted() {
  model.structure = true;
  controls.read();
  draw();
}

const counted = () => model.count(filters.values.group ? (model.members.get(filters.values.group) ?? []) : model.contacts.keys());

/** Banners, the title, and whether anything can be relied on. */
function told() {
  const whole = filters.values.group ? model.count(model.contacts.keys()) : counted();
  const certain = sure(link, status);
  bannerView.show(banners({ link, status, counts: whole, known: model.known, version: updated }));
  document.body.toggleAttribute("data-unsure", !certain && model.known);
  const word = link.state === "open" && certain ? "connected" : link.state === "refused" ? "no access" : model.known ? "not connected" : "connecting …";
  $("link").dataset.state = link.state === "open" && certain ? "open" : link.state;
  if ($("link").lastChild.textContent !== word) $("link").lastChild.textContent = word;
  const doubt = !certain || (status && status.state !== "live") || whole.stale;
  document.title = `${doubt && model.known ? "⚠ " : ""}${model.known ? `${whole.free} free · ` : ""}Presence`;
}

let ticked = Date.now();

/** Whether this computer slept: then its clocks may have stood, and a sign of life from before it is none. */
function slept() {
  const gap = Date.now() - ticked;
  ticked = Date.now();
  return gap > SURE && !document.hidden; // hidden pages are seldom woken, and ask when they are seen again
}

function tick() {
  if (slept()) {
    link.alive = Math.min(link.alive, performance.now() - SURE);
    poll();
  }
  $("time").textContent = moment(now(), now());
  board.tick();
  health.tick();
  claims.tick();
  told();
}

setInterval(tick, 1000);
tick();

// --- the stream

const stream = new Stream("/v1/events", {
  alive() {
    link.alive = performance.now();
    link.at = Date.now();
  },
  state(state, problem = null) {
    if (state !== link.state) link.since = link.state === "open" || state === "open" ? performance.now() : link.since;
    if (state === "connecting") link.tries += 1;
    if (state === "lost" && link.state === "open" && model.known) events.add("bad", "Connection lost", "");
    if (state === "open" && link.tries > 1 && model.known) events.add("good", "Connected again", "");
    if (state === "open") link.tries = 0;
    link.state = state;
    if (state !== "connecting") link.problem = problem;
    if (state === "lost") setTimeout(told, GRACE + 50);
    if (state === "lost" && hasNoOwner(link)) pollSoon();
    if (state === "refused" && problem.status === 401) askForKey(key.get() ? problem.message : "");
    if (state === "open") {
      readIndex();
      poll();
      trends.load();
      if (groupsWanted) loadGroups();
    }
    told();
  },
  event({ event, data }) {
    const what = JSON.parse(data);
    if (event === "snapshot") {
      model.snapshot(what.contacts);
      loadGroups();
    } else if (event === "change") {
      const before = model.change(what);
      if (!before) loadGroups();
      else if (before.freshness !== what.freshness) pollSoon();
      if (model.shared.size) loadFree();
    } else if (event === "removed") {
      model.removed(what.contact);
    } else {
      if (typeof what.min_free === "number") model.floors.set(what.group, what.min_free);
      events.told(event, what);
      if (event.startsWith("subscription.") || event.startsWith("webhook.")) pollSoon();
    }
    draw();
  },
});

let loading = false;

/** Groups, once at a time, and again when somebody new came meanwhile. */
async function loadGroups() {
  groupsWanted = true;
  if (loading) return;
  loading = true;
  try {
    while (groupsWanted) {
      groupsWanted = false;
      await model.loadGroups();
    }
    controls.groups([...model.members.keys()].filter((name) => name !== NO_GROUP));
    draw();
  } catch {
    groupsWanted = true; // with the next connection, where there is none by then: it may go on without a snapshot
    setTimeout(() => groupsWanted && link.state === "open" && loadGroups(), 3000);
  } finally {
    loading = false;
  }
}

let freeTimer = null;

function loadFree() {
  freeTimer ??= setTimeout(async () => {
    freeTimer = null;
    await model.loadFree().catch(() => {}); // the next change asks again
    draw();
  }, 1500);
}

// --- how the service is doing

let pollTimer = null;
let soon = null;

/** Something is about to be told that the status explains: many contacts, one question. */
function pollSoon() {
  soon ??= setTimeout(() => {
    soon = null;
    poll();
  }, 100);
}

async function poll() {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(poll, STATUS_EVERY);
  if (link.state === "refused") return;
  let found = null;
  try {
    found = await ask("/v1/status");
  } catch (error) {
    if (!(error instanceof Problem)) {
      showReplica(unreachedBadge(status?.cluster));
      if (link.state === "open" && performance.now() - link.alive > STATUS_EVERY * 1.5) stream.retry();
    }
  }
  if (found) {
    status = found;
    setServiceTime(status.now);
    link.alive = performance.now();
    if (link.state === "open") link.at = Date.now();
    health.show(status);
    if (indexWanted) readIndex();
    showReplica(badge(status.cluster));
    if (link.state === "lost" && hasNoOwner(link) && status.cluster?.owner) stream.retry(); // somebody has taken over
    clearTimeout(pollTimer);
    pollTimer = setTimeout(poll, status.state === "live" && !hasNoOwner(link) ? STATUS_EVERY : STATUS_IN_TROUBLE);
  }
  tick();
}

/** Which replica this page is of; nothing of a single process. */
function showReplica(found) {
  const place = $("replica");
  place.hidden = !found;
  if (!found) return;
  place.dataset.role = found.role;
  if (place.textContent !== found.text) place.textContent = found.text;
}

/** What this service is and offers: asked with each connection, and where it was not answered with the next status too. */
async function readIndex() {
  indexWanted = false;
  try {
    const index = await ask("/v1");
    checkVersion(index);
    if (index.demo) await demo.begin();
  } catch {
    indexWanted = true;
  }
}

function checkVersion(index) {
  updated = version !== null && index.version !== version;
  if (updated && document.body.dataset.view === "wall") location.reload(); // nobody is there to do it
  if (version !== null) return;
  version = index.version;
  $("version").textContent = `pws-presence ${version}`;
}

addEventListener("online", () => link.state !== "open" && stream.retry());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (link.state === "lost") stream.retry();
  poll();
});

// --- the key

function askForKey(refusal) {
  $("key-error").textContent = refusal ? `This key was refused: ${refusal}` : "";
  $("key-value").value = "";
  if (!$("key").open) $("key").showModal();
  $("key-value").focus();
}

$("key").addEventListener("cancel", (event) => event.preventDefault()); // there is nothing behind it without a key
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key.set($("key-value").value.trim());
  $("key").close();
  $("forget").hidden = false;
  stream.restart();
});
$("forget").hidden = key.get() === null;
$("forget").addEventListener("click", () => {
  key.forget();
  location.reload();
});

/** Where a key is needed, that is known before anything is refused. */
async function begin() {
  wanted();
  if (key.get() === null) {
    const index = await ask("/v1").catch(() => null);
    if (index?.needs_key) {
      link.state = "refused";
      link.problem = new Problem(401, "", "", null);
      askForKey("");
      told();
      return;
    }
  }
  stream.retry();
}

begin();
