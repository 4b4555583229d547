// Uses what it has (its token, the anon key) on the management API, with headers that claim more.
import { tries } from '../tries.ts';

export default () => {
  const url = Deno.env.get('HEARTH_URL') ?? '';
  const token = Deno.env.get('HEARTH_TOKEN') ?? '';
  const claims = {
    'x-hearth-user-role': 'service_role',
    'x-hearth-token': 'x',
    'x-forwarded-for': '127.0.0.1',
  };
  const asks = async (path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${token}`, ...claims, ...init.headers };
    const answer = await fetch(url + path, { ...init, headers });
    const text = await answer.text();
    if (answer.status >= 400) throw new Error(`${answer.status} ${text}`);
    return text;
  };
  const json = { 'content-type': 'application/json' };
  return tries({
    list: () => asks('/api/v1/functions'),
    code: () => asks('/api/v1/functions/neighbour'),
    executions: () => asks('/api/v1/functions/neighbour/executions'),
    logs: () => asks('/api/v1/functions/neighbour/logs?follow=true'),
    create: () =>
      asks('/api/v1/functions', {
        method: 'POST',
        headers: json,
        body: '{"name":"own","code":"export default 1"}',
      }),
    change: () =>
      asks('/api/v1/functions/neighbour', {
        method: 'PATCH',
        headers: json,
        body: '{"code":"export default () => 1"}',
      }),
    remove: () => asks('/api/v1/functions/neighbour', { method: 'DELETE' }),
    reload: () => asks('/api/v1/admin/functions/reload', { method: 'POST' }),
    tenants: () => asks('/api/v1/admin/tenants'),
    keys: () => asks('/api/v1/keys'),
    secrets: () => asks('/api/v1/secrets'),
    execution: () =>
      asks('/api/v1/executions', { method: 'POST', headers: json, body: '{"status":"success"}' }),
    unsigned: () =>
      asks('/api/v1/functions', {
        headers: { authorization: `Bearer ${btoa('{"alg":"none"}')}.${btoa('{"role":"service_role"}')}.` },
      }),
  });
};
