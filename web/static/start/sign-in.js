/**
 * The sign-in of development: choose who to be, and go on.
 * @module
 */

import { fill, h, icon } from "../dom.js";
import { choose, safeNext } from "../session.js";

/** @typedef {{ identity: string, name: string, role: string, page: string }} Identity */

const people = /** @type {HTMLElement} */ (document.querySelector("#people"));
const next = safeNext(new URL(location.href).searchParams.get("next"), location.origin, "");

/**
 * Say where somebody goes: to what they came from, if it is theirs to see.
 * @param {Identity} person
 */
function destination(person) {
  const side = person.role === "patient" ? "/cases/" : "/admin";
  return next.startsWith(side) ? next : person.page;
}

/** @param {Identity} person */
function choice(person) {
  const button = h(
    "button",
    {
      class: "choice",
      type: "button",
      onclick: () => {
        choose(person.identity);
        location.assign(destination(person));
      },
    },
    h("span", { class: `avatar ${person.role === "patient" ? "patient" : "staff"}`, "aria-hidden": "true" }, person.name[0]),
    h("span", {}, h("b", {}, person.name), h("small", {}, person.role)),
    icon("arrow"),
  );
  return h("li", {}, button);
}

async function show() {
  fill(people, h("li", { class: "skeleton" }));
  try {
    const answer = await fetch("/dev/identities");
    if (!answer.ok) throw new Error((await answer.json()).error.message);
    const { identities } = /** @type {{ identities: Identity[] }} */ (await answer.json());
    fill(people, identities.map(choice));
  } catch (error) {
    const why = error instanceof TypeError ? "The hub does not answer." : String(/** @type {Error} */ (error).message);
    const again = h("button", { class: "button", type: "button", onclick: show }, icon("retry"), "Try again");
    fill(people, h("li", { class: "notice danger" }, why, again));
  }
}

show();
