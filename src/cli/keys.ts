/** `hearth keys …`: prints, mints, makes and revokes what a tenant is used with. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { ask } from './client.js';
import { findTarget, type Given } from './credentials.js';
import { parseDuration } from './durations.js';
import { CliError } from './errors.js';

export interface KeysContext {
  given(): Given;
  out(text: string): void;
  /** Unix ms. */
  now(): number;
}

const TEN_YEARS_S = parseDuration('10y');
const Token = z.object({ token: z.string() });
const Key = z.looseObject({
  id: z.string(),
  name: z.string(),
  kind: z.string(),
  prefix: z.string(),
  scopes: z.array(z.string()),
  functions: z.array(z.string()).nullable(),
  source_ranges: z.array(z.string()).nullable(),
  expires_at: z.string().nullable(),
  last_used_at: z.string().nullable(),
});

export function addKeyCommands(program: Command, context: KeysContext): void {
  const keys = program.command('keys').description("a tenant's keys and tokens");
  const { out } = context;

  for (const [name, role, what] of [
    ['anon', 'anon', 'may call functions, and is for clients that anybody can look into'],
    ['service', 'service_role', 'may do everything in its tenant, and is a secret'],
  ] as const) {
    keys
      .command(name)
      .description(`print the tenant's ${name} key: a token that ${what}`)
      .action(async () => out(await longLivedKey(context, role)));
  }

  keys
    .command('jwt')
    .description('mint a token and print it')
    .addOption(
      new Option('--role <role>', 'what it may do')
        .choices(['anon', 'authenticated', 'service_role'])
        .default('authenticated'),
    )
    .option('--sub <id>', "the user's id")
    .option('--email <address>', "the user's email address")
    .addOption(
      new Option('--expires <duration>', 'how long it is good for, such as 90s, 15m, 1h, 30d')
        .argParser(duration)
        .default(3_600, '1h'),
    )
    .addOption(
      new Option('--claim <name=value...>', 'more claims; a value is JSON, else text')
        .argParser(claim)
        .default({}, 'none'),
    )
    .action(async ({ role, sub, email, expires, claim: claims }) =>
      out(await mint(context, { role, sub, email, expires_in: expires, claims })),
    );

  keys
    .command('list')
    .description('list the API and service keys')
    .option('--json', 'as JSON')
    .action(async ({ json }) => {
      const target = await findTarget(context.given(), 'service');
      const path = `${target.prefix}/api/v1/keys`;
      const list = await ask(target, { method: 'GET', path, answer: z.array(Key) });
      out(json ? JSON.stringify(list, null, 2) : tableOf(list));
    });

  keys
    .command('create')
    .description('make an API or service key and print it: it cannot be shown again')
    .requiredOption('--name <name>', 'what it is for')
    .addOption(new Option('--kind <kind>', 'what it is').choices(['api', 'service']).default('api'))
    .option('--scope <scope...>', 'what an API key may do, such as execute:functions')
    .option('--function <name...>', 'the only functions that an API key may call')
    .option('--source <range...>', 'the only addresses and ranges that it may come from')
    .option('--expires <duration>', 'how long it is good for, such as 30d; for ever by default', duration)
    .option('--json', 'the whole record, as JSON')
    .action(async (options) => {
      const target = await findTarget(context.given(), 'service');
      const { name, kind, scope = [], function: functions = null, source = null, expires, json } = options;
      const expires_at =
        expires === undefined ? null : new Date(context.now() + expires * 1000).toISOString();
      const made = await ask(target, {
        method: 'POST',
        path: `${target.prefix}/api/v1/keys`,
        json: { name, kind, scopes: scope, functions, source_ranges: source, expires_at },
        answer: Key.extend({ key: z.string() }),
      });
      out(json ? JSON.stringify(made, null, 2) : made.key);
    });

  keys
    .command('revoke')
    .description('revoke an API or service key: it is refused from now on')
    .argument('<id>', 'as `hearth keys list` shows it')
    .action(async (id: string) => {
      const target = await findTarget(context.given(), 'service');
      const path = `${target.prefix}/api/v1/keys/${encodeURIComponent(id)}`;
      await ask(target, { method: 'DELETE', path, answer: z.null() });
      out(`${id} is revoked`);
    });

  keys
    .command('rotate')
    .description(
      "replace the secret that signs the tenant's tokens, and print its new keys; needs the admin key",
    )
    .addOption(
      new Option('--grace <duration>', 'how long tokens that were signed before still verify')
        .argParser(duration)
        .default(86_400, '24h'),
    )
    .action(async ({ grace }) => {
      const given = context.given();
      const target = await findTarget(given, 'admin');
      const tenant = given.tenant ?? target.file?.tenant;
      if (tenant === undefined) throw new CliError('give --tenant: whose secret is to be replaced', 2);
      const path = `/api/v1/admin/tenants/${encodeURIComponent(tenant)}/jwt-secret`;
      const answer = z.record(z.string(), z.unknown());
      const rotated = await ask(target, { method: 'POST', path, json: { grace_seconds: grace }, answer });
      out(JSON.stringify(rotated, null, 2));
    });
}

/** The one that the node keeps, where it is this tenant's; else one as good as that. */
async function longLivedKey(context: KeysContext, role: 'anon' | 'service_role'): Promise<string> {
  const given = context.given();
  const { file } = await findTarget(given, 'service');
  if (file !== null && (given.tenant ?? file.tenant) === file.tenant)
    return role === 'anon' ? file.anon_key : file.service_key;
  return await mint(context, { role, expires_in: TEN_YEARS_S });
}

async function mint(context: KeysContext, json: Record<string, unknown>): Promise<string> {
  const target = await findTarget(context.given(), 'service');
  const { token } = await ask(target, {
    method: 'POST',
    path: `${target.prefix}/api/v1/tokens`,
    json,
    answer: Token,
  });
  return token;
}

function duration(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : '');
  }
}

function claim(text: string, claims: Record<string, unknown>): Record<string, unknown> {
  const [, name, value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('write name=value');
  try {
    return { ...claims, [name]: JSON.parse(value) };
  } catch {
    return { ...claims, [name]: value };
  }
}

function tableOf(list: z.output<typeof Key>[]): string {
  const rows = list.map(({ id, kind, name, prefix, scopes, expires_at, last_used_at }) => [
    id,
    kind,
    name,
    `${prefix}…`,
    kind === 'service' ? 'everything' : scopes.join(','),
    expires_at ?? 'never',
    last_used_at ?? 'never',
  ]);
  const lines = [['ID', 'KIND', 'NAME', 'KEY', 'MAY', 'EXPIRES', 'LAST USED'], ...rows];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) => line.map((cell, column) => cell.padEnd(widths?.[column] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}
