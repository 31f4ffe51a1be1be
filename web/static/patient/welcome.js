/**
 * What stands where nobody has said anything yet.
 * @module
 */
import { fill, h } from "../dom.js";
import { t } from "../text.js";

const IDEAS = /** @type {const} */ (["idea_papers", "idea_costs", "idea_travel"]);

export class Welcome {
  element = h("div", { class: "welcome", hidden: true });

  /** @param {(text: string) => void} say */
  constructor(say) {
    this.#say = say;
  }

  #say;
  #shown = "";

  /**
   * @param {boolean} shown
   * @param {string | undefined} name
   * @param {boolean} ideas whether there is somebody who answers them
   */
  show(shown, name, ideas) {
    this.element.hidden = !shown;
    const what = `${name}/${ideas}`;
    if (!shown || what === this.#shown) return;
    this.#shown = what;
    const first = name?.split(" ")[0];
    fill(
      this.element,
      h("h2", {}, first ? t("welcome", { name: first }) : t("welcome_plain")),
      h("p", {}, t("welcome_more")),
      ideas &&
        h(
          "div",
          { class: "ideas" },
          IDEAS.map((idea) => h("button", { type: "button", class: "button idea", onclick: () => this.#say(t(idea)) }, t(idea))),
        ),
      h("p", { class: "emergency" }, t("emergency")),
    );
  }
}
