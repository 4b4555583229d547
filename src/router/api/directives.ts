/**
 * Directives: settings of a function in its own comments, such as `// @hearth:timeout 60`.
 *
 * They count when code is deployed: a field that the request gives itself wins, and a directive that is no longer in the code
 * leaves its field as it is.
 */
import type { z } from '@hono/zod-openapi';
import type { ErrorDetail } from '../../errors.js';
import type { FunctionSettings } from '../../store/types.js';
import { corsField, cronField, rateLimitField, routeField, settingFields, toCors } from './fields.js';
import { problemOf } from './validate.js';

export interface Directives {
  settings: Partial<FunctionSettings>;
  /** An unknown or malformed directive, with its line. */
  errors: ErrorDetail[];
}

const LINE = /^[ \t]*(\/\/|\/\*+|\*)[ \t]*@(hearth|fluxbase):(\S*)(.*)$/;
const ROUTES_MAX = 20;

/** Reads the comments that start a line. `@fluxbase:` means the same as `@hearth:`. */
export function readDirectives(code: string): Directives {
  const settings: Partial<FunctionSettings> = {};
  const errors: ErrorDetail[] = [];
  for (const [index, text] of code.split('\n').entries()) {
    const match = LINE.exec(text);
    if (match === null) continue;
    const [, opening = '', prefix = '', name = '', rest = ''] = match;
    // Only a block comment ends in the line: `// @hearth:cron */5 * * * *` holds the same two characters.
    const value = (opening === '//' ? rest : rest.replace(/\*\/.*$/, '')).trim();
    const problem = apply(opening === '//' ? name : name.replace(/\*\/$/, ''), value, settings);
    if (problem !== null) {
      const column = text.indexOf('@') + 1;
      errors.push({ field: 'code', message: `@${prefix}:${name} ${problem}`, line: index + 1, column });
    }
  }
  return { settings, errors };
}

/** Sets the field; what is wrong, or null. */
function apply(name: string, value: string, settings: Partial<FunctionSettings>): string | null {
  switch (name) {
    case 'allow-unauthenticated':
    case 'disable-execution-logs': {
      if (value !== '') return 'takes no value';
      settings[name === 'allow-unauthenticated' ? 'allow_unauthenticated' : 'disable_execution_logs'] = true;
      return null;
    }
    case 'timeout':
    case 'memory': {
      const field = name === 'timeout' ? 'timeout_seconds' : 'memory_limit_mb';
      const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
      if (Number.isNaN(number)) return 'needs a whole number';
      const problem = problemOf(settingFields[field], number);
      if (problem === null) settings[field] = number;
      return problem;
    }
    case 'cron':
      return text(cronField, value, (schedule) => {
        settings.cron_schedule = schedule;
      });
    case 'rate-limit':
      return text(rateLimitField, value, (limit) => {
        settings.rate_limit = limit;
      });
    case 'cors-origins':
      return text(corsField, value, (origins) => {
        settings.cors = toCors(origins);
      });
    case 'route': {
      const routes = settings.routes ?? [];
      if (routes.length >= ROUTES_MAX) return `is given more than ${ROUTES_MAX} times`;
      if (routes.includes(value)) return 'names a route twice';
      return text(routeField, value, (route) => {
        settings.routes = [...routes, route];
      });
    }
    default:
      return 'is not a known directive';
  }
}

function text(schema: z.ZodType, value: string, set: (value: string) => void): string | null {
  if (value === '') return 'needs a value';
  const problem = problemOf(schema, value);
  if (problem === null) set(value);
  return problem;
}
