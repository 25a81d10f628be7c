// The controls: counts that are filters too, search, group, sort, view, and the keys that reach them.

import { fit } from "./wall.js";
import { STATES, stateWord } from "./words.js";

const $ = (id) => document.getElementById(id);

const TILES = [
  { name: "free", mark: "FREE", word: "Free", count: (counts) => counts.free, always: true },
  { name: "phone", mark: "PHONE", word: "On the phone", count: (counts) => counts.phone, details: true, always: true },
  ...STATES.map((state) => ({
    name: state,
    mark: state,
    word: stateWord(state),
    count: (counts) => counts.states.get(state) ?? 0,
    details: true,
    always: state === "AVAILABLE" || state === "BUSY",
  })),
  { name: "stale", mark: "STALE", word: "Stale", count: (counts) => counts.stale, always: true },
  { name: "unknown", mark: "NEVER", word: "Never read", count: (counts) => counts.unknown },
];

export class Controls {
  constructor(filters, model, board) {
    Object.assign(this, { filters, model, board });
    this.tiles = TILES.map((tile) => this.#tile(tile));
    this.names = [];
    this.all = document.createElement("li");
    this.all.className = "count all";
    const figure = document.createElement("span");
    figure.className = "figure";
    figure.append(document.createElement("b"));
    this.all.append(figure, document.createElement("span"));
    this.all.lastChild.className = "word";
    $("counts").append(this.all, ...this.tiles.map((tile) => tile.el));
    this.#listen();
  }

  #tile(tile) {
    const el = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "count";
    button.dataset.tile = tile.name;
    const mark = document.createElement("i");
    mark.className = "mark";
    mark.setAttribute("aria-hidden", "true");
    button.dataset.shape = tile.mark;
    const number = document.createElement("b");
    const word = document.createElement("span");
    word.className = "word";
    word.textContent = tile.word;
    const figure = document.createElement("span");
    figure.className = "figure";
    figure.append(mark, number);
    button.append(figure, " ", word);
    button.addEventListener("click", () => this.#toggle(tile.name));
    el.append(button);
    return { ...tile, el, button, number };
  }

  #toggle(name) {
    const { states, phone, available, freshness } = this.filters.values;
    const without = (list, value) => (list.includes(value) ? list.filter((each) => each !== value) : [...list, value]);
    if (name === "free") this.filters.set({ available: available === true ? null : true });
    else if (name === "phone") this.filters.set({ phone: !phone });
    else if (name === "stale" || name === "unknown") this.filters.set({ freshness: without(freshness, name) });
    else this.filters.set({ states: without(states, name) });
  }

  #pressed(name) {
    const { states, phone, available, freshness } = this.filters.values;
    if (name === "free") return available === true;
    if (name === "phone") return phone;
    return freshness.includes(name) || states.includes(name);
  }

  #listen() {
    const { filters } = this;
    keep($("shortcuts"), "pws-shortcuts");
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("q").addEventListener("input", () => filters.set({ q: $("q").value }, { typing: true }));
    $("group").addEventListener("change", () => filters.set({ group: $("group").value }));
    $("sort").addEventListener("change", () => filters.set({ sort: $("sort").value }));
    $("reset").addEventListener("click", () => {
      filters.clear();
      $("q").focus();
    });
    for (const radio of document.getElementsByName("view")) {
      radio.addEventListener("change", () => radio.checked && filters.set({ view: radio.value }));
    }
    addEventListener("resize", () => {
      this.#view();
      this.fitWall(true);
    });
    const around = new ResizeObserver(() => this.fitWall(true));
    around.observe($("banners"));
    around.observe($("trends"));
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (!$("shortcuts").checked) return; // speech input types letters that nobody meant
      const typing = event.target.closest?.("input:not([type=radio], [type=checkbox]), textarea, select");
      if (event.key === "Escape" && (event.target.id === "q" || !typing)) filters.clear();
      else if (typing) return;
      else if (event.key === "/") $("q").focus();
      else if (event.key === "f") this.#toggle("free");
      else if (event.key === "w") filters.set({ view: this.view === "wall" ? "table" : "wall" });
      else return;
      event.preventDefault();
    });
  }

  /** Take over what is wanted now: from the URL, from another control. */
  read() {
    const { values, narrowed } = this.filters;
    if ($("q").value !== values.q) $("q").value = values.q;
    $("sort").value = values.sort;
    this.#groupChoice();
    for (const radio of document.getElementsByName("view")) radio.checked = radio.value === values.view;
    for (const tile of this.tiles) tile.button.setAttribute("aria-pressed", String(this.#pressed(tile.name)));
    $("reset").hidden = !narrowed;
    this.#view();
  }

  /** The groups that there are. */
  groups(names) {
    this.names = names;
    this.#groupChoice();
  }

  #groupChoice() {
    const wanted = this.filters.values.group;
    const names = wanted && !this.names.includes(wanted) ? [...this.names, wanted] : this.names;
    const select = $("group");
    if ([...select.options].slice(1).map((each) => each.value).join("\n") !== names.join("\n")) {
      select.replaceChildren(select.options[0], ...names.map((name) => new Option(name, name)));
    }
    select.value = wanted;
    select.parentElement.hidden = !names.length;
  }

  /** Auto: cards on what is narrow, tiles on a screen that is filled and large, else the table. */
  #view() {
    const { view } = this.filters.values;
    const large = innerWidth >= 1800 && innerHeight >= 1040;
    this.view = view !== "auto" ? view : innerWidth < 760 ? "cards" : large ? "wall" : "table";
    if (document.body.dataset.view !== this.view) {
      document.body.dataset.view = this.view;
      if (this.view === "wall") $("main").append($("trends"));
      else $("claims").before($("trends"));
      this.board.shorten(this.view === "wall");
      this.fitWall(true);
    }
  }

  /** Whether a change may move a row or take it out of sight. */
  movesRows() {
    return this.filters.narrowed || this.filters.values.sort !== "";
  }

  fitWall(changed) {
    if (this.view !== "wall" || !changed) return;
    this.board.shorten(true);
    fit($("board"), this.board);
  }

  /** Numbers, and how many of them are on the board. */
  show(counts) {
    const { model, board, filters } = this;
    setText(this.all.firstChild.firstChild, String(counts.total));
    setText(this.all.lastChild, counts.total === 1 ? "contact" : "contacts");
    for (const tile of this.tiles) {
      const number = tile.count(counts);
      setText(tile.number, String(number));
      tile.el.hidden = (model.brief && tile.details) || (!number && !tile.always && !this.#pressed(tile.name));
      tile.button.toggleAttribute("data-none", number === 0);
    }
    const text = this.view === "wall" && filters.values.q ? ` with “${filters.values.q}”` : ""; // where the search is not seen
    setText($("shown"), filters.narrowed ? `${board.shown} of ${board.total} shown${text}` : "");
    $("empty").hidden = board.shown > 0;
    setText($("empty"), !model.known ? "Waiting for the service …" : board.total ? "Nobody passes this filter." : "Nobody is watched.");
  }
}

/** Remember a checkbox in this browser. */
function keep(box, name) {
  try {
    box.checked = localStorage.getItem(name) !== "off";
    box.addEventListener("change", () => localStorage.setItem(name, box.checked ? "on" : "off"));
  } catch {
    // A browser that keeps nothing.
  }
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
