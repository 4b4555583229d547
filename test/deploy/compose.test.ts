/** The files of deploy/ agree with each other, as far as that can be told without a container engine. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { root } from '../support/node.js';

const deploy = join(root, 'deploy');

const Service = z.object({
  image: z.string().optional(),
  build: z.object({ context: z.string(), dockerfile: z.string() }).optional(),
  environment: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  command: z.array(z.string()).optional(),
  ports: z.array(z.string()).optional(),
  volumes: z.array(z.string()).optional(),
  depends_on: z.union([z.array(z.string()), z.record(z.string(), z.unknown())]).optional(),
});
const Compose = z.object({
  services: z.record(z.string(), Service),
  volumes: z.record(z.string(), z.unknown()),
});

function read(path: string): unknown {
  return parse(readFileSync(join(deploy, path), 'utf8'));
}

const compose = Compose.parse(read('compose.yaml'));
const services = Object.entries(compose.services);

describe('deploy/compose.yaml', () => {
  it('has Hearth and all that watches it', () => {
    expect(Object.keys(compose.services).sort()).toEqual(
      ['collector', 'grafana', 'hearth', 'postgres', 'prometheus', 'tempo'].sort(),
    );
  });

  it.each(services)('%s is pinned to a version, and listens on loopback alone', (_, service) => {
    if (service.image === undefined) {
      const { context = '', dockerfile = '' } = service.build ?? {};
      expect(existsSync(join(deploy, context, dockerfile))).toBe(true);
    } else expect(service.image).toMatch(/:v?\d+\.\d+/);
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it.each(services)('%s finds its files, volumes and neighbours', (_, service) => {
    for (const volume of service.volumes ?? []) {
      const [from = ''] = volume.split(':');
      if (from.startsWith('.')) expect(existsSync(join(deploy, from)), volume).toBe(true);
      else expect(Object.keys(compose.volumes), volume).toContain(from);
    }
    const needed = service.depends_on ?? [];
    for (const name of Array.isArray(needed) ? needed : Object.keys(needed))
      expect(Object.keys(compose.services)).toContain(name);
    // What a service is told of is a path below one of its mounts.
    for (const argument of service.command ?? []) {
      const [, path] = /^--?config(?:\.file)?=(.*)$/.exec(argument) ?? [];
      if (path === undefined) continue;
      const mount = (service.volumes ?? []).find((volume) => volume.split(':')[1] === dirname(path));
      const file = join(deploy, mount?.split(':')[0] ?? '', path.slice(dirname(path).length + 1));
      expect(existsSync(file), argument).toBe(true);
    }
  });

  it('names hosts that there are', () => {
    const texts = [
      ...Object.values(compose.services.hearth?.environment ?? {}).map(String),
      ...[
        'prometheus/prometheus.yml',
        'grafana/provisioning/datasources/hearth.yaml',
        'otel/collector.yaml',
      ].map((path) => JSON.stringify(read(path))),
    ].join('\n');
    const hosts = [...texts.matchAll(/(?:https?:\/\/|@|")([a-z][\w-]*):\d{4,5}\b/g)].map(([, host]) => host);
    expect(hosts.length).toBeGreaterThan(5);
    for (const host of hosts) expect(Object.keys(compose.services)).toContain(host);
  });
});

describe('the image', () => {
  const dockerfile = readFileSync(join(deploy, 'Dockerfile'), 'utf8');
  const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n');

  it('is built from files that there are, and that are not kept from it', () => {
    const copies = [...dockerfile.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap(([, paths = '']) =>
      paths.split(' ').slice(0, -1),
    );
    expect(copies.length).toBeGreaterThan(4);
    for (const path of copies) {
      expect(existsSync(join(root, path)), path).toBe(true);
      expect(ignored, path).toContain(`!${path.replace(/^\.\//, '')}`);
    }
  });

  it('is of the version of Node that is asked for, has bubblewrap, and does not run as root', () => {
    for (const [, from = ''] of dockerfile.matchAll(/^FROM (\S+)/gm))
      expect(from).toMatch(/^node:20\.\d+\.\d+-/);
    expect(dockerfile).toContain('bubblewrap');
    const users = [...dockerfile.matchAll(/^USER (\S+)/gm)].map(([, user]) => user);
    expect(users).toEqual(['node']);
  });
});

describe("Grafana's provisioning", () => {
  const Sources = z.object({
    datasources: z.array(
      z.object({ uid: z.string(), type: z.string(), jsonData: z.record(z.string(), z.unknown()) }),
    ),
  });
  const { datasources } = Sources.parse(read('grafana/provisioning/datasources/hearth.yaml'));

  it('has a source for each kind that the dashboards ask for', () => {
    const kinds = readdirSync(join(deploy, 'grafana/dashboards')).flatMap((name) => {
      const { templating } = JSON.parse(readFileSync(join(deploy, 'grafana/dashboards', name), 'utf8'));
      return templating.list.flatMap((each: { type: string; query: string }) =>
        each.type === 'datasource' ? [each.query] : [],
      );
    });
    for (const kind of new Set(kinds)) expect(datasources.map(({ type }) => type)).toContain(kind);
  });

  it('leads from exemplars to the traces', () => {
    const [prometheus] = datasources.filter(({ type }) => type === 'prometheus');
    const [tempo] = datasources.filter(({ type }) => type === 'tempo');
    expect(prometheus?.jsonData.exemplarTraceIdDestinations).toEqual([
      { name: 'trace_id', datasourceUid: tempo?.uid },
    ]);
    expect(compose.services.prometheus?.command).toContain('--enable-feature=exemplar-storage');
  });

  it('finds the dashboards where the container has them', () => {
    const { providers } = z
      .object({ providers: z.array(z.object({ options: z.object({ path: z.string() }) })) })
      .parse(read('grafana/provisioning/dashboards/hearth.yaml'));
    const targets = (compose.services.grafana?.volumes ?? []).map((volume) => volume.split(':')[1]);
    for (const { options } of providers) expect(targets).toContain(options.path);
  });
});

describe('the alerts', () => {
  it('each lead to a part of the runbook, which has no other ones', () => {
    const Rules = z.object({
      groups: z.array(
        z.object({
          rules: z.array(
            z.object({
              alert: z.string(),
              labels: z.object({ severity: z.enum(['critical', 'warning']) }),
              annotations: z.object({
                summary: z.string(),
                description: z.string(),
                runbook_url: z.string(),
              }),
            }),
          ),
        }),
      ),
    });
    const { groups } = Rules.parse(read('prometheus/rules/alerts.yaml'));
    const runbook = readFileSync(join(root, 'docs/runbook.md'), 'utf8');
    const headings = [...runbook.matchAll(/^## (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase());
    const anchors = groups.flatMap(({ rules }) =>
      rules.map(({ annotations }) => /^docs\/runbook\.md#(.+)$/.exec(annotations.runbook_url)?.[1]),
    );
    expect(anchors.length).toBeGreaterThan(15);
    expect([...new Set(anchors)].sort()).toEqual(headings.sort());
  });
});
