// @ts-check
/**
 * Which of very many rows are in the page: those in sight and some around them. Blank space stands for the others.
 *
 * @typedef {{start: number, end: number}} Range  indexes of rows, `end` excluded
 */

export const ROWS_MAX = 200;
/** With fewer left beyond the edge of what is in sight, rows are exchanged. */
export const MARGIN_ROWS = 40;
/** Before any has been measured. */
export const ROW_PX = 64;

/**
 * @param {Range} kept  the rows in the page
 * @param {Range} sight  the rows in sight, roughly
 * @param {number} count  how many rows there are
 * @returns {Range}  the rows to have in the page; `kept` itself while they will do
 */
export function rowsAround(kept, sight, count) {
  const size = Math.max(ROWS_MAX, sight.end - sight.start + 4 * MARGIN_ROWS);
  const suffices =
    (kept.start === 0 || kept.start + MARGIN_ROWS <= sight.start) &&
    (kept.end === count || sight.end + MARGIN_ROWS <= kept.end) &&
    kept.end - kept.start <= size && kept.start < kept.end && kept.end <= count;
  if (suffices) return kept;
  const middle = (sight.start + sight.end) / 2;
  const start = Math.max(0, Math.min(Math.round(middle - size / 2), count - size));
  return { start, end: Math.min(start + size, count) };
}

/** Heights of rows, in pixels. */
export class Heights {
  /** @type {Map<number, number>} */
  #byId = new Map();
  #sum = 0;

  /**
   * @param {number} id
   * @param {number} px
   */
  set(id, px) {
    this.#sum += px - (this.#byId.get(id) ?? 0);
    this.#byId.set(id, px);
  }

  /** At another width all heights are others. */
  clear() {
    this.#byId.clear();
    this.#sum = 0;
  }

  /** What stands for a row that has not been measured. */
  get average() {
    return this.#byId.size === 0 ? ROW_PX : this.#sum / this.#byId.size;
  }

  /**
   * The height of some rows together.
   * @param {readonly {id: number}[]} rows
   * @param {Range} range
   */
  sum(rows, { start, end }) {
    const { average } = this;
    let sum = 0;
    for (let index = start; index < end; index += 1) sum += this.#byId.get(rows[index].id) ?? average;
    return sum;
  }

  /**
   * The row at a distance from the first one's top, and where that row begins.
   * @param {readonly {id: number}[]} rows  at least one
   * @param {number} px
   */
  rowAt(rows, px) {
    const { average } = this;
    let top = 0;
    for (let index = 0; ; index += 1) {
      const height = this.#byId.get(rows[index].id) ?? average;
      if (top + height > px || index === rows.length - 1) return { index, top };
      top += height;
    }
  }
}
