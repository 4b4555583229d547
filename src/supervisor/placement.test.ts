import { describe, expect, it } from 'vitest';
import { bunchOf, fewOf, placeConnection } from './placement.js';

/** Where so many connections go that come one after the other and stay. */
function placed(connections: number, routers: number, bunch: number): number[] {
  const loads = Array.from({ length: routers }, (_, at) => ({ id: at + 1, connections: 0 }));
  for (let n = 0; n < connections; n++) {
    const id = placeConnection(loads, bunch);
    const load = loads.find((each) => each.id === id);
    if (load !== undefined) load.connections++;
  }
  return loads.map((load) => load.connections);
}

describe('placing connections', () => {
  it('fills one router to a bunch before it begins with the next', () => {
    expect(placed(16, 2, 16)).toEqual([16, 0]);
    expect(placed(20, 2, 16)).toEqual([16, 4]);
  });

  it('spreads many evenly', () => {
    expect(placed(64, 2, 16)).toEqual([32, 32]);
    expect(placed(1000, 4, 8)).toEqual([256, 248, 248, 248]);
  });

  it('takes turns where a bunch is one connection', () => {
    expect(placed(7, 3, 1)).toEqual([3, 2, 2]);
  });

  it('goes back to a router whose connections have closed', () => {
    const loads = [
      { id: 1, connections: 32 },
      { id: 2, connections: 15 },
    ];
    expect(placeConnection(loads, 16)).toBe(2);
  });

  it('names none where there is none', () => {
    expect(placeConnection([], 16)).toBeNull();
  });

  it('makes bunches the smaller the more cores there are, and never empty', () => {
    expect([1, 4, 16, 128].map(bunchOf)).toEqual([64, 16, 4, 1]);
    expect([1, 2, 4, 16, 128].map(fewOf)).toEqual([64, 32, 16, 4, 1]);
  });

  it('leaves one of two cores to the processes and the database until there are many connections', () => {
    expect(placed(128, 2, bunchOf(2))).toEqual([128, 0]);
    expect(placed(300, 2, bunchOf(2))).toEqual([172, 128]);
  });
});
