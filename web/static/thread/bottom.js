/**
 * Keeps a scroller where its reader wants it: at the newest, or exactly where they read.
 * @module
 */

const NEAR = 40;

export class Bottom {
  /** Whether the reader follows the newest. */
  pinned = true;
  #scroller;
  #changed;
  #observer;
  #top = 0;
  #height = 0;

  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} content what grows in it
   * @param {() => void} changed called when the reader begins or ends to follow
   */
  constructor(scroller, content, changed) {
    this.#scroller = scroller;
    this.#changed = changed;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#observer = new ResizeObserver(() => this.settle());
    this.#observer.observe(content);
    this.#observer.observe(scroller);
  }

  get #distance() {
    return this.#scroller.scrollHeight - this.#scroller.clientHeight - this.#scroller.scrollTop;
  }

  #scrolled() {
    const { scrollTop, scrollHeight } = this.#scroller;
    // Content that shrank moves the scroller too; only a reader goes up while it does not shrink.
    const up = scrollTop < this.#top - 1 && scrollHeight >= this.#height;
    this.#top = scrollTop;
    this.#height = scrollHeight;
    this.#pin(this.#distance < (up ? 2 : NEAR) || (this.pinned && !up));
  }

  /** @param {boolean} pinned */
  #pin(pinned) {
    if (pinned === this.pinned) return;
    this.pinned = pinned;
    this.#changed();
  }

  /** After a change: stay with the newest if the reader follows it. */
  settle() {
    if (!this.pinned) return;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
    this.#height = this.#scroller.scrollHeight;
  }

  /** Go to the newest, and follow it. */
  go() {
    this.#pin(true);
    this.settle();
  }

  /**
   * Change what stands above without moving what is being read.
   * @param {HTMLElement} list
   * @param {() => void} change
   */
  hold(list, change) {
    const edge = this.#scroller.getBoundingClientRect().top;
    const seen = [...list.children].find((child) => child.getBoundingClientRect().bottom > edge);
    const before = seen?.getBoundingClientRect().top ?? 0;
    change();
    if (seen?.isConnected && !this.pinned) {
      // Where the browser has held its place already the difference is nothing.
      this.#scroller.scrollTop += seen.getBoundingClientRect().top - before;
    }
    this.settle();
    this.#top = this.#scroller.scrollTop;
    this.#height = this.#scroller.scrollHeight;
  }

  stop() {
    this.#observer.disconnect();
  }
}
