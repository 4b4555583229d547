import { totalmem } from 'node:os';
import { describe, expect, it } from 'vitest';
import { readConfig } from './config.js';
import { StartError } from './errors.js';

describe('settings', () => {
  it('have the defaults of the documentation, and paths that do not depend on where one is later', () => {
    expect(readConfig({})).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      metricsPort: 9464,
      dataDir: `${process.cwd()}/.hearth`,
      functionsDir: `${process.cwd()}/functions`,
      databaseUrl: null,
      poolSize: 4,
      domain: null,
      sandbox: 'auto',
      drainSeconds: 300,
      maxCodeBytes: 1_048_576,
      region: 'local',
    });
  });

  it('that are empty count as unset', () => {
    expect(readConfig({ HEARTH_PORT: '', DATABASE_URL: '', HEARTH_SANDBOX: '' })).toEqual(readConfig({}));
  });

  it('can take a free port, or leave the metrics out', () => {
    expect(readConfig({ HEARTH_PORT: '0', HEARTH_METRICS_PORT: 'off' })).toMatchObject({
      port: 0,
      metricsPort: 'off',
    });
  });

  it('name who else signs the default tenant’s tokens', () => {
    expect(readConfig({}).jwt).toEqual({});
    const jwks_url = 'https://issuer.example/jwks';
    const env = { HEARTH_JWKS_URL: jwks_url, HEARTH_JWT_ISSUER: 'me', HEARTH_JWT_AUDIENCE: 'you' };
    expect(readConfig(env).jwt).toEqual({ jwks_url, issuer: 'me', audience: 'you' });
    for (const url of ['http://127.0.0.1:1/jwks', 'http://localhost/jwks', 'http://[::1]:80/jwks'])
      expect(readConfig({ HEARTH_JWKS_URL: url }).jwt).toEqual({ jwks_url: url });
  });

  it('give functions half of the memory there is, or as much as is said', () => {
    const { memoryMib } = readConfig({});
    const mib = 1024 * 1024;
    expect(memoryMib).toBeGreaterThanOrEqual(128);
    expect(memoryMib).toBeLessThanOrEqual(Math.max(128, totalmem() / 2 / mib));
    expect(readConfig({ HEARTH_MEMORY_MB: '512' }).memoryMib).toBe(512);
  });

  it('keep functions from private addresses unless only this machine reaches the node', () => {
    expect(readConfig({})).toMatchObject({ egressDeny: [], egressIpv6: false });
    expect(readConfig({ HEARTH_HOST: '0.0.0.0' })).toMatchObject({
      egressDeny: ['private'],
      egressIpv6: false,
    });
    expect(readConfig({ HEARTH_HOST: '::' })).toMatchObject({ egressDeny: ['private'], egressIpv6: false });
    // What listens on an IPv6 address alone is reached by that.
    expect(readConfig({ HEARTH_HOST: '2001:db8::1' })).toMatchObject({
      egressDeny: ['private'],
      egressIpv6: true,
    });
    expect(readConfig({ HEARTH_HOST: '0.0.0.0', HEARTH_EGRESS_DENY: 'off' }).egressDeny).toEqual([]);
    expect(readConfig({ HEARTH_EGRESS_DENY: 'private, 203.0.113.0/24,2001:db8::1' }).egressDeny).toEqual([
      'private',
      '203.0.113.0/24',
      '2001:db8::1',
    ]);
  });

  it.each([
    ['HEARTH_PORT', 'eighty', 'must be a whole number from 0 to 65535'],
    ['HEARTH_PORT', '65536', 'must be a whole number from 0 to 65535'],
    ['HEARTH_PORT', '-1', 'must be a whole number from 0 to 65535'],
    ['HEARTH_PORT', '80 80', 'must be a whole number from 0 to 65535'],
    ['HEARTH_METRICS_PORT', 'on', 'must be a port from 0 to 65535, or off'],
    ['DATABASE_URL', 'mysql://root:hunter2@127.0.0.1/x', 'must be a URL that begins with postgres://'],
    ['DATABASE_URL', 'not a url hunter2', 'must be a URL that begins with postgres://'],
    ['HEARTH_ROUTERS', '0', 'must be a whole number from 1 to 64'],
    ['HEARTH_ROUTERS', '1.5', 'must be a whole number from 1 to 64'],
    ['HEARTH_POOL_SIZE', 'many', 'must be a whole number from 0 to 256'],
    ['HEARTH_DOMAIN', 'https://example.com', 'must be a domain name'],
    ['HEARTH_JWT_SECRET', 'hunter2', 'must have at least 16 characters'],
    ['HEARTH_JWKS_URL', 'http://issuer.example/hunter2', 'must be a URL that begins with https://'],
    ['HEARTH_JWKS_URL', 'https://me:hunter2@issuer.example/jwks', 'must be a URL that begins with https://'],
    ['HEARTH_JWKS_URL', 'hunter2', 'must be a URL that begins with https://'],
    ['HEARTH_ADMIN_KEY', 'hunter2', 'must have at least 16 characters'],
    ['HEARTH_ADMIN_KEY', 'hth_svc_hunter2hunter2', 'must not begin as an API or service key does'],
    ['HEARTH_SECRET_KEY', 'hunter2', 'must have at least 16 characters'],
    ['HEARTH_SECRET_KEY_PREVIOUS', 'hunter2', 'must have at least 16 characters'],
    ['HEARTH_TRUSTED_PROXIES', '10.0.0.0/33', 'must be a list of addresses and ranges'],
    ['HEARTH_TRUSTED_PROXIES', 'proxy.example', 'must be a list of addresses and ranges'],
    ['HEARTH_SANDBOX', 'docker', 'must be auto, bwrap or permissions'],
    ['HEARTH_EGRESS_DENY', 'everything', 'must be off, or a list such as private,203.0.113.0/24'],
    ['HEARTH_EGRESS_DENY', '10.0.0.0/33', 'must be off, or a list'],
    ['HEARTH_EGRESS_DENY', 'fc00::/7', 'must be off, or a list'],
    ['HEARTH_EGRESS_IPV6', 'yes', 'must be on or off'],
    ['HEARTH_LOG_LEVEL', 'loud', 'must be debug, info, warn or error'],
    ['HEARTH_LOG_FORMAT', 'xml', 'must be auto, json or text'],
    ['HEARTH_DRAIN_SECONDS', '5s', 'must be a whole number from 0 to 3600'],
    ['HEARTH_KEEP_ALIVE_SECONDS', '0', 'must be a whole number from 1 to 86400'],
    ['HEARTH_MAX_PROCESSES', '0', 'must be a whole number from 1 to 10000'],
    ['HEARTH_MEMORY_MB', '64', 'must be a whole number from 128 to 16777216'],
    ['HEARTH_MAX_CODE_BYTES', '1', 'must be a whole number from 1024 to 67108864'],
    ['HEARTH_CODE_CACHE_MB', '1', 'must be a whole number from 16 to 1048576'],
  ])('refuse %s=%s, saying what it must be', (name, value, sentence) => {
    let thrown: unknown;
    try {
      readConfig({ [name]: value });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(StartError);
    const { message } = thrown instanceof StartError ? thrown : new Error('nothing was thrown');
    expect(message).toContain(`${name} ${sentence}`);
    expect(message).not.toMatch(/hunter2|\n/);
  });
});
