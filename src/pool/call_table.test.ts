import { describe, expect, it } from 'vitest';
import { CallTable, Roster } from './call_table.js';

describe('CallTable', () => {
  it('does what a Map does', () => {
    const table = new CallTable<number>();
    const map = new Map<number, number>();
    let random = 1;
    for (let step = 0; step < 20_000; step++) {
      random = (random * 48_271) % 2_147_483_647;
      const number = random % 900;
      if (random % 3 === 0) {
        expect(table.take(number)).toBe(map.get(number));
        map.delete(number);
      } else if (!map.has(number)) {
        table.set(number, step);
        map.set(number, step);
      }
      expect(table.get(number)).toBe(map.get(number));
    }
    expect(table.size).toBe(map.size);
    expect(table.entries()).toEqual([...map].sort(([one], [other]) => one - other));
    table.clear();
    expect([table.size, table.entries()]).toEqual([0, []]);
  });
});

describe('Roster', () => {
  it('does what a Set does', () => {
    const members = Array.from({ length: 50 }, (_, name) => ({ name, seat: -1 }));
    const roster = new Roster<{ name: number; seat: number }>();
    const set = new Set<{ name: number; seat: number }>();
    let random = 7;
    for (let step = 0; step < 5_000; step++) {
      random = (random * 48_271) % 2_147_483_647;
      const member = members[random % members.length];
      if (member === undefined) continue;
      if (random % 2 === 0) {
        roster.add(member);
        set.add(member);
      } else {
        roster.delete(member);
        set.delete(member);
      }
      expect(roster.size).toBe(set.size);
    }
    expect(new Set(roster)).toEqual(set);
  });
});
