import { describe, expect, it } from 'vitest';
import { tenantRecord } from '../../test/support/tenant_record.js';
import { createTenantTable, hostName } from './tenants.js';

describe('the table of tenants', () => {
  it.each([
    ['api.acme.example', 'acme'],
    ['API.Acme.Example:8443', 'acme'],
    ['api.acme.example.', 'acme'],
    ['api.acme.example.:8443', 'acme'],
    ['acme.hearth.example', 'acme'],
    ['nobody.hearth.example', 'nobody'],
    ['a.b.hearth.example', 'a.b'],
    ['hearth.example', null],
    ['xhearth.example', null],
    ['other.example', null],
    ['api.acme.example.evil.example', null],
    ['127.0.0.1:8080', null],
    ['[::1]:8080', null],
    ['', null],
  ])('finds in the Host "%s" the tenant %s', (host, slug) => {
    const tenants = createTenantTable('hearth.example');
    tenants.set(tenantRecord('acme', { domains: ['api.acme.example'] }));
    expect(tenants.byHost(host)).toBe(slug);
    expect(tenants.byHost(host)).toBe(slug); // from what is remembered
  });

  it('forgets what a host stood for when domains change, and says of an entry that it is no longer current', () => {
    const tenants = createTenantTable(null);
    expect(tenants.byHost('api.acme.example')).toBeNull();
    tenants.set(tenantRecord('acme', { domains: ['api.acme.example'] }));
    expect(tenants.byHost('api.acme.example')).toBe('acme');
    const before = tenants.bySlug('acme');
    tenants.set(tenantRecord('acme', { domains: ['new.acme.example'] }));
    expect(before?.current).toBe(false);
    expect(tenants.byHost('api.acme.example')).toBeNull();
    expect(tenants.byHost('new.acme.example')).toBe('acme');
    tenants.keepOnly(new Set());
    expect(tenants.byHost('new.acme.example')).toBeNull();
    expect(tenants.bySlug('acme')).toBeUndefined();
  });

  it('remembers no more hosts than it may, however many are sent', () => {
    const tenants = createTenantTable('hearth.example');
    for (let n = 0; n < 5_000; n++) tenants.byHost(`t${n}.hearth.example`);
    expect(tenants.byHost('t1.hearth.example')).toBe('t1');
  });
});

it('a host name has neither port nor trailing dot nor capitals', () => {
  expect(hostName('A.Example.:80')).toBe('a.example');
  expect(hostName('a.example:')).toBe('a.example');
});
