import type { Socket } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import { ClientConnection, connectionOf } from './client_connection.js';

const limits = { idle: 5, head: 3 };

let socket: { bytesRead: number };
let connection: ClientConnection;

beforeEach(() => {
  socket = { bytesRead: 0 };
  connection = new ClientConnection(socket as Socket);
});

/** How many looks it takes until the connection is to be closed, and why; `each` happens before every one. */
function looks(each: () => void = () => {}): string {
  for (let look = 1; look <= 20; look++) {
    each();
    const expiry = connection.look(limits);
    if (expiry !== null) return `${expiry} ${look}`;
  }
  return 'stays';
}

function request(bytes: number) {
  socket.bytesRead += bytes;
  connection.begin();
}

describe('a connection', () => {
  it('is found by its socket', () => {
    expect(connectionOf(socket as Socket)).toBe(connection);
    expect(connectionOf({} as Socket)).toBeUndefined();
  });

  it('is idle when it asks for nothing for the time that it may', () => {
    expect(looks()).toBe('idle 6');
  });

  it('is idle from its last answer on', () => {
    looks(() => {
      request(10);
      connection.end(true);
    });
    // The last of those looks counts.
    expect(looks()).toBe('idle 5');
  });

  it('stays while it is served, as long as that takes', () => {
    request(10);
    request(10);
    connection.end(true);
    expect(looks(() => socket.bytesRead++)).toBe('stays');
    expect(connection.isIdle()).toBe(false);
    connection.end(true);
    expect(connection.isIdle()).toBe(true);
  });

  it('is slow when a head does not come to its end, a byte at a time or not', () => {
    socket.bytesRead = 1;
    expect(looks()).toBe('slow 4');
    request(9);
    connection.end(true);
    expect(looks(() => socket.bytesRead++)).toBe('slow 5');
  });

  it('has all the time of a head when one begins as it is about to be closed', () => {
    for (let look = 0; look < limits.idle; look++) expect(connection.look(limits)).toBeNull();
    socket.bytesRead = 1;
    expect(looks()).toBe('slow 4');
  });

  it('is not idle with a part of a head', () => {
    request(10);
    connection.end(true);
    connection.look(limits);
    socket.bytesRead++;
    connection.look(limits);
    expect(connection.isIdle()).toBe(false);
  });

  it('stays while the rest of a request comes that was answered early, and not when that stops', () => {
    request(10);
    connection.end(false);
    expect(looks(() => socket.bytesRead++)).toBe('stays');
    expect(looks()).toBe('idle 6');
  });

  it('is no longer looked at once it speaks another protocol', () => {
    request(10);
    connection.leave();
    connection.end(true);
    expect(looks()).toBe('stays');
    expect(connection.isIdle()).toBe(false);
    expect(connection.hasLeft()).toBe(true);
  });

  it('that has not asked for anything may be about to', () => {
    expect(connection.isIdle()).toBe(false);
  });
});
