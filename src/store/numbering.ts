import type { Database, Statement } from 'better-sqlite3';

/**
 * Updates of versions that have no number yet. The time is in microseconds and not as the text that it is, of which a
 * round's updates would make hundreds of MiB for the collector.
 */
const UNNUMBERED = `
  SELECT u.update_id - @first, v.model_id, unixepoch(substr(u.time, 1, 19)) * 1000000 + substr(u.time, 21)
  FROM updates u CROSS JOIN versions v ON v.version_id = u.version_id
  WHERE u.update_id >= @first AND v.number IS NULL`;

/**
 * Numbers the versions that a round's updates have made, each model's in the order of their times within the round, and
 * at one time in that of its updates.
 *
 * SQLite would hold a round's versions several times over to sort them, and have a round of small updates take a multiple
 * of its size: here each update takes 16 bytes.
 */
export class VersionNumbering {
  readonly #last: Statement;
  readonly #unnumbered: Statement;
  readonly #greatest: Statement;
  readonly #number: Statement;

  constructor(db: Database) {
    this.#last = db.prepare('SELECT max(update_id) FROM updates').pluck();
    this.#unnumbered = db.prepare(UNNUMBERED).raw();
    this.#greatest = db
      .prepare('SELECT ifnull(max(number), 0) FROM versions WHERE model_id = ? AND number IS NOT NULL')
      .pluck();
    this.#number = db.prepare(
      // UPDATE … FROM, which makes a table of what it joins, takes twice as long.
      `UPDATE versions SET number = @number, time = (SELECT time FROM updates WHERE update_id = @update)
       WHERE version_id = (SELECT version_id FROM updates WHERE update_id = @update) AND number IS NULL`,
    );
  }

  /** @param first the round's first update. */
  run(first: number): void {
    const count = (this.#last.get() as number) - first + 1;
    const models: number[] = [];
    const places = new Map<number, number>();
    // By update: its model's place, counted from 1; 0 where its version has a number.
    const placeOf = new Uint32Array(count);
    const times = new Float64Array(count);
    const order = new Uint32Array(count);
    let length = 0;
    for (const [update, model, time] of this.#unnumbered.iterate({ first }) as Iterable<[number, number, number]>) {
      let place = places.get(model);
      if (place === undefined) places.set(model, (place = models.push(model)));
      placeOf[update] = place;
      times[update] = time;
      order[length++] = update;
    }
    const before = (a: number, b: number) => placeOf[a] - placeOf[b] || times[a] - times[b] || a - b;
    const unnumbered = order.subarray(0, length);
    // As they mostly are, of a model that one rank updates: sorting takes the order three times over.
    if (unnumbered.some((update, i) => i > 0 && before(unnumbered[i - 1], update) > 0)) unnumbered.sort(before);
    let place = 0;
    let number = 0;
    for (const update of unnumbered) {
      if (placeOf[update] !== place) {
        place = placeOf[update];
        number = this.#greatest.get(models[place - 1]) as number;
      }
      // Several ranks may have updated a version: the first of them has made it.
      number += this.#number.run({ update: first + update, number: number + 1 }).changes;
    }
  }
}
