// The strip of `pws demo`: change somebody's presence, break something, and see it heal.

import { ask, Problem } from "./api.js";
import { fullName, stateWord } from "./words.js";

const $ = (id) => document.getElementById(id);

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

/** What is said where a button did nothing, and what to do then. */
function failed(error) {
  if (error instanceof Problem) return `That did not work: ${error.message}`;
  return "That did not work: this page's service does not answer. Of several replicas, press it on the page of another one.";
}

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}

export class Demo {
  constructor(model) {
    this.model = model;
    this.known = "";
    this.begun = false;
  }

  /** Ask what can be done, and show it; once. */
  async begin() {
    if (this.begun) return;
    this.begun = true;
    const { states, tricks } = await ask("/demo").catch((error) => {
      this.begun = false;
      throw error;
    });
    $("demo-state").replaceChildren(...states.filter((state) => state !== "UNKNOWN").map((state) => option(state, stateWord(state))));
    $("demo-change").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#change();
    });
    $("demo-tricks").replaceChildren(
      ...tricks.map((trick) => button(trick.title, () => this.#do("POST", { fault: trick.name }, trick.expect))),
      button("Mend everything", () => this.#do("DELETE", undefined, "All faults are off; whatever was lost is made anew.")),
    );
    $("demo").hidden = false;
    this.people();
  }

  /** Keep the list of people in step. */
  people() {
    if ($("demo").hidden) return;
    const ranks = this.model.ranks();
    const keys = [...this.model.contacts.keys()].sort((one, other) => ranks.get(one) - ranks.get(other)).slice(0, 1000);
    const text = keys.join();
    if (text === this.known) return;
    this.known = text;
    const select = $("demo-who");
    const chosen = select.value;
    select.replaceChildren(
      ...keys.map((key) => {
        const contact = this.model.contacts.get(key);
        return option(contact.contact, fullName(contact));
      }),
    );
    if (chosen) select.value = chosen;
  }

  async #change() {
    const contact = $("demo-who").value;
    const body = { state: $("demo-state").value, on_the_phone: $("demo-phone").checked, note: $("demo-note").value || null };
    try {
      await ask(`/demo/contacts/${encodeURIComponent(contact)}`, { method: "POST", body });
      this.#say(`${contact} is changed at the server. The server notifies, the service fetches, and the row changes.`);
    } catch (error) {
      this.#say(failed(error));
    }
  }

  async #do(method, body, expect) {
    try {
      await ask("/demo/faults", { method, body });
      this.#say(expect);
    } catch (error) {
      this.#say(failed(error));
    }
  }

  #say(text) {
    $("demo-said").textContent = text;
  }
}
