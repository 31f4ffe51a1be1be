/**
 * How far the questions before a match are answered.
 * @module
 */
import { fill, h } from "../dom.js";
import { percent, t } from "../text.js";

export class Intake {
  element = h("section", { class: "intake", hidden: true, "aria-label": t("intake") });

  /** @param {import("../client/frames.js").IntakeData} data */
  show({ percent: value, step, missing = [] }) {
    this.element.hidden = value >= 100;
    const bar = h(
      "div",
      { class: "progress", role: "progressbar", "aria-label": t("intake"), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": value },
      h("span", { style: { "--share": `${value}%` } }),
    );
    fill(
      this.element,
      h(
        "p",
        { class: "intake-row" },
        h("span", { class: "intake-step" }, step ? t("intake_next", { step }) : t("intake")),
        h("span", { class: "intake-share" }, percent(value / 100)),
      ),
      bar,
      missing.length > 0 && h("p", { class: "spoken" }, t("intake_missing", { list: missing.join(", ") })),
    );
  }
}
