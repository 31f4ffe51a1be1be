/**
 * Where this client stands in the log: each event is let through once, and in order.
 *
 * Invariant: after the first event that was let through, the next one has the next `seq`.
 */
export class Feed {
  /** The cursor of the last event that was applied. @type {string | null} */
  cursor = null;
  /** Its `seq`. @type {number | null} */
  seq = null;

  /** Start anew: what is known of the log holds no longer. */
  forget() {
    this.cursor = null;
    this.seq = null;
  }

  /**
   * Hear from where on the hub will send.
   *
   * @param {number} from the `seq` of the first event that comes
   * @returns {boolean} whether it fits; if not, what the page has is not the beginning of it
   */
  begin(from) {
    if (this.seq === null) {
      this.seq = from - 1;
      return true;
    }
    return from <= this.seq + 1;
  }

  /**
   * @param {{ seq: number, cursor: string }} event
   * @returns {"next" | "old" | "hole"}
   */
  take(event) {
    if (this.seq !== null && event.seq <= this.seq) return "old";
    if (this.seq !== null && event.seq > this.seq + 1) return "hole";
    this.seq = event.seq;
    this.cursor = event.cursor;
    return "next";
  }
}
