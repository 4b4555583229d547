/**
 * Calls in flight by their numbers, and calls that run. Not `Map` and `Set`: with entries that come and go all the time
 * those make a new table every few calls, and in V8 a table that was left points to the one after it. Once one of them
 * is in the old generation, all that follow, and every call in them, outlive the young one as well, until a full
 * collection: that made a fifth of a router's work.
 */

const BUCKETS = 64;

const { setPrototypeOf } = Object;

/** A list without a prototype: in a process, a function can put setters on the one of all lists. */
function bare<Item>(): Item[] {
  return setPrototypeOf([], null);
}

function buckets<Item>(): Item[][] {
  const lists = bare<Item[]>();
  for (let bucket = 0; bucket < BUCKETS; bucket++) lists[bucket] = bare();
  return lists;
}

/** Values by whole numbers from 0 to 2^32 - 1, of which those that are there at one time are near each other. */
export class CallTable<Value> {
  readonly #numbers: number[][] = buckets();
  readonly #values: Value[][] = buckets();
  size = 0;

  /** The number must not be there yet. */
  set(number: number, value: Value): void {
    const bucket = number & (BUCKETS - 1);
    const numbers = this.#numbers[bucket] as number[];
    const values = this.#values[bucket] as Value[];
    const end = numbers.length;
    numbers[end] = number;
    values[end] = value;
    this.size++;
  }

  get(number: number): Value | undefined {
    const bucket = number & (BUCKETS - 1);
    const numbers = this.#numbers[bucket] as number[];
    for (let index = 0; index < numbers.length; index++)
      if (numbers[index] === number) return (this.#values[bucket] as Value[])[index];
    return undefined;
  }

  /** Takes it out, if it is there. */
  take(number: number): Value | undefined {
    const bucket = number & (BUCKETS - 1);
    const numbers = this.#numbers[bucket] as number[];
    const values = this.#values[bucket] as Value[];
    for (let index = 0; index < numbers.length; index++) {
      if (numbers[index] !== number) continue;
      const value = values[index];
      const last = numbers.length - 1;
      numbers[index] = numbers[last] as number;
      values[index] = values[last] as Value;
      numbers.length = last;
      values.length = last;
      this.size--;
      return value;
    }
    return undefined;
  }

  forEach(visit: (value: Value) => void): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const values = this.#values[bucket] as Value[];
      for (let index = values.length - 1; index >= 0; index--) visit(values[index] as Value);
    }
  }

  /** All of them, in order of their numbers. */
  entries(): [number, Value][] {
    const all: [number, Value][] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const numbers = this.#numbers[bucket] as number[];
      for (let index = 0; index < numbers.length; index++)
        all.push([numbers[index] as number, (this.#values[bucket] as Value[])[index] as Value]);
    }
    return all.sort(([one], [other]) => one - other);
  }

  clear(): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      (this.#numbers[bucket] as number[]).length = 0;
      (this.#values[bucket] as Value[]).length = 0;
    }
    this.size = 0;
  }
}

/** Where a member of a roster is in it; -1 when it is in none. */
export interface Seated {
  seat: number;
}

/** Members in no order. */
export class Roster<Member extends Seated> implements Iterable<Member> {
  readonly #members: Member[] = [];

  add(member: Member): void {
    if (member.seat >= 0) return;
    member.seat = this.#members.length;
    this.#members.push(member);
  }

  delete(member: Member): void {
    const { seat } = member;
    if (seat < 0) return;
    member.seat = -1;
    const last = this.#members.pop() as Member;
    if (last === member) return;
    this.#members[seat] = last;
    last.seat = seat;
  }

  get size(): number {
    return this.#members.length;
  }

  /** Those that are there now: members may come and go meanwhile. */
  [Symbol.iterator](): IterableIterator<Member> {
    return [...this.#members].values();
  }
}
