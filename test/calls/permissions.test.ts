/** What allow_net, allow_env, allow_read and allow_write give a function, behind each kind of walls. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNode, type TestNode } from '../support/node.js';

/** Tells what it could do, when it was loaded and when it is called. */
const tries = `
const tried = (attempt) => { try { return String(attempt()) } catch (error) { return error.name } };
const look = () => ({
  env: tried(() => Deno.env.get('HEARTH_FUNCTION')),
  write: tried(() => (Deno.writeTextFileSync(Deno.makeTempFileSync(), 'x'), 'written')),
  read: tried(() => (Deno.readDirSync(Deno.env.get('TMPDIR')).next(), 'read')),
  outside: tried(() => Deno.readTextFileSync('/etc/hosts')),
  host: tried(() => Deno.writeTextFileSync('/var/made-by-a-function', '')),
  code: tried(() => Deno.readTextFileSync(new URL(import.meta.url))),
  program: tried(() => new Deno.Command('/bin/true').outputSync().code),
  library: tried(() => Deno.dlopen('/lib/x.so', {})),
  system: tried(() => Deno.hostname()),
});
const loaded = look();
export default async () => ({
  loaded,
  called: look(),
  net: await Deno.connect({ hostname: '127.0.0.9', port: 1 }).then(() => 'open', (error) => error.name),
});`;

/** What no function may, whatever its settings. */
const never = {
  outside: 'NotCapable',
  host: 'NotCapable',
  program: 'NotCapable',
  library: 'NotCapable',
  system: 'NotCapable',
};

describe.each(['auto', 'permissions'])('with HEARTH_SANDBOX=%s, a function', (sandbox) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode({ HEARTH_SANDBOX: sandbox, HEARTH_ROUTERS: '1', HEARTH_POOL_SIZE: '1' });
  });
  afterAll(async () => {
    await node?.remove();
  });

  async function outcomes(name: string, settings: Record<string, unknown>) {
    await node.deploy(name, tries, settings);
    const answer = await node.call(name);
    expect(answer.status).toBe(200);
    return (await answer.json()) as { loaded: object; called: object; net: string };
  }

  it('has its environment and the network by default, and no files', async () => {
    const { loaded, called, net } = await outcomes('default', {});
    const may = { ...never, env: 'default', write: 'NotCapable', read: 'NotCapable' };
    expect(called).toEqual({ ...may, code: 'NotCapable' });
    // While it is loaded its own module is all that it could read besides.
    expect(loaded).toMatchObject(may);
    expect(net).toBe('ConnectionRefused');
  });

  it('has nothing when nothing is allowed, not even while it is loaded', async () => {
    const { loaded, called, net } = await outcomes('nothing', { allow_env: false, allow_net: false });
    const may = { ...never, env: 'NotCapable', write: 'NotCapable', read: 'NotCapable' };
    expect(called).toEqual({ ...may, code: 'NotCapable' });
    expect(loaded).toMatchObject(may);
    expect(net).toBe('NotCapable');
  });

  it('has a scratch folder of its own to read and to write', async () => {
    const { loaded, called } = await outcomes('files', { allow_read: true, allow_write: true });
    const may = { ...never, env: 'files', write: 'written', read: 'read' };
    expect(called).toEqual({ ...may, code: 'NotCapable' });
    expect(loaded).toMatchObject(may);
  });

  it('may read without writing', async () => {
    const { called } = await outcomes('reads', { allow_read: true });
    expect(called).toEqual({ ...never, env: 'reads', write: 'NotCapable', read: 'read', code: 'NotCapable' });
  });
});
